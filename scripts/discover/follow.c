/*
 * The events of a run in order: what each thread held when it woke another, and
 * what that one held when it went on; then what it did until it waited again,
 * which is the task.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "facts.h"
#include "wakings.h"

enum { WORDS = 1 << 16 };

struct channel channels[CHANNELS_MAX];
unsigned channels_count;
bool is_worker[DISCOVER_THREADS];

struct word {
    uint32_t thread, module;
    uint64_t offset, value;
    bool is_used;
};

struct thread_state states[DISCOVER_THREADS];
static struct word *words;

/* ---- words ---- */

static struct word *word_of(uint32_t thread, uint32_t module, uint64_t offset, bool is_made)
{
    uint64_t hash =
        (thread * UINT64_C(0x9e3779b97f4a7c15) + module * UINT64_C(0xc2b2ae3d27d4eb4f) + offset) *
        UINT64_C(0x9e3779b97f4a7c15);

    for (unsigned tries = 0; tries < 256; tries++) {
        struct word *word = &words[((hash >> 40) + tries) % WORDS];

        if (word->is_used && word->thread == thread && word->module == module &&
            word->offset == offset)
            return word;
        if (!word->is_used) {
            if (!is_made)
                return NULL;
            *word = (struct word){thread, module, offset, 0, true};
            return word;
        }
    }
    return NULL;
}

/* The image of a word, which a thread starts with. */
static uint64_t image_of(const struct names *names, uint64_t offset)
{
    const struct elf_module *elf = &names->module->elf;
    uint64_t value = 0;

    for (size_t i = 0; i < elf->phnum; i++) {
        const elf_phdr *p = &elf->phdr[i];

        if (p->p_type == PT_TLS && offset < p->p_filesz)
            memcpy(&value, (const void *)(elf->base + p->p_vaddr + offset),
                   p->p_filesz - offset < 8 ? p->p_filesz - offset : 8);
    }
    return value;
}

/* What a variable holds: itself up to a word, or a sum of what is in it. */
static uint64_t value_of(uint32_t thread, uint32_t module, const struct subject *subject)
{
    const struct variable *variable = subject->variable;
    size_t size = variable->size ? variable->size : 8;
    uint64_t sum = 0;

    for (uint64_t at = variable->offset & ~(uint64_t)7; at < variable->offset + size; at += 8) {
        const struct word *word = word_of(thread, module, at, false);
        uint64_t value = word ? word->value : image_of(subject->of, at);
        uint64_t low = at < variable->offset ? variable->offset - at : 0;
        uint64_t high = variable->offset + size < at + 8 ? variable->offset + size - at : 8;

        value >>= low * 8;
        if (high - low < 8)
            value &= ((uint64_t)1 << (high - low) * 8) - 1;
        sum = size <= 8 && !low ? value : sum * 31 + value;
    }
    return sum;
}

static void note_word(const struct discover_event *event)
{
    struct names *names = facts_module(event->which);
    struct word *word = names ? word_of(event->thread, event->which, event->object, true) : NULL;

    if (!word)
        return;
    word->value = event->value;
    for (unsigned i = 0; i < subjects_count; i++) {
        if (subjects[i].of == names && subjects[i].variable &&
            variable_has_word(subjects[i].variable, event->object))
            states[event->thread].values[i] = value_of(event->thread, event->which, &subjects[i]);
    }
}

static void note_key(const struct discover_event *event)
{
    struct thread_state *state = &states[event->thread];
    struct subject *subject = subject_of_key(event->which);
    unsigned char *in_task;

    if (!subject)
        return;
    in_task = &state->in_task[subject - subjects];
    if (event->kind == DISCOVER_KEY_FIRST) {
        if (!*in_task && event->value)
            *in_task = TASK_FOUND_OWN;
        return;
    }
    state->values[subject - subjects] = event->value;
    state->touched[subject - subjects] |= (unsigned char)event->flags;
    /* Only what came first counts. */
    if (!(*in_task & (KEY_GOT | KEY_SET)))
        *in_task |= (unsigned char)event->flags;
}

/* ---- handoffs ---- */

struct place place_in(uint32_t stack, uint32_t frame)
{
    return stack < DISCOVER_STACKS && frame < facts->stack[stack].count
               ? facts_place(facts->stack[stack].frames[frame], true)
               : (struct place){NULL, NULL, 0};
}

bool same_place(const struct place *one, const struct place *other)
{
    return one->names == other->names &&
           (one->function || other->function ? one->function == other->function
                                             : one->address == other->address);
}

struct channel *channel_of(const struct wake *wake, uint32_t waiter_stack, uint32_t by)
{
    struct place waker = place_in(wake->stack, facts_inner(wake->stack));
    struct place waiter = place_in(waiter_stack, facts_inner(waiter_stack));
    struct channel *channel;

    if (!waker.names || (!waiter.names && by != BY_THREAD))
        return NULL;
    for (unsigned i = 0; i < channels_count; i++) {
        if (channels[i].by == by && same_place(&channels[i].waker, &waker) &&
            same_place(&channels[i].waiter, &waiter))
            return &channels[i];
    }
    if (channels_count == CHANNELS_MAX)
        return NULL;
    channel = &channels[channels_count++];
    channel->waker = waker;
    channel->waiter = waiter;
    channel->waker_stack = wake->stack;
    channel->waiter_stack = waiter_stack;
    channel->by = by;
    channel->seen = allocated(calloc(subjects_count + 1, sizeof *channel->seen));
    for (unsigned i = 0; i < subjects_count; i++)
        channel->seen[i].is_in_place = !subjects[i].variable &&
                                       facts->key[subjects[i].key].is_storage;
    pool_look(channel);
    return channel;
}

static void add_value(struct seen *seen, uint64_t value, uint32_t thread)
{
    unsigned i;

    for (i = 0; i < seen->values_count && seen->values[i] != value; i++)
        ;
    if (i == seen->values_count && i < VALUES_MAX)
        seen->values[seen->values_count++] = value;
    for (i = 0; i < seen->threads_count && seen->threads[i] != thread; i++)
        ;
    if (i == seen->threads_count && i < VALUES_MAX)
        seen->threads[seen->threads_count++] = thread;
    if (i < VALUES_MAX && value) {
        seen->varied += seen->last[i] && seen->last[i] != value;
        seen->last[i] = value;
    }
}

static void end_task(uint32_t thread)
{
    struct thread_state *state = &states[thread];

    for (unsigned i = 0; state->channel && i < subjects_count; i++) {
        struct seen *seen = &state->channel->seen[i];

        seen->tasks++;
        seen->changed += state->values[i] != state->at_start[i];
        seen->got_first += (state->in_task[i] & KEY_GOT_FIRST) != 0;
        seen->set_first += state->in_task[i] && !(state->in_task[i] & KEY_GOT_FIRST);
        seen->found_own += (state->in_task[i] & TASK_FOUND_OWN) != 0;
    }
    state->channel = NULL;
}

static bool is_near_stack(uint64_t value, uint32_t thread)
{
    uint64_t top = facts->thread[thread].stack_hi;

    return top && value && value < top && top - value < (8 << 20);
}

/* What the waking thread held, on its way; WORKER: the one that was woken, NULL: none that is known. */
void tell(struct channel *channel, const struct wake *wake, const struct thread_state *worker)
{
    channel->pairs++;
    for (unsigned i = 0; i < subjects_count; i++) {
        struct seen *seen = &channel->seen[i];
        bool is_there = worker && wake->values[i] == worker->values[i];

        for (unsigned j = 0; !worker && j < channel->workers_count; j++)
            is_there |= wake->values[i] == states[channel->workers[j]].values[i];
        seen->pairs++;
        seen->differs += !is_there;
        seen->worker_own += worker && worker->values[i];
        add_value(seen, wake->values[i], wake->thread);
        if (wake->sets[i] & KEY_SET) {
            if (wake->sets[i] & KEY_GOT_FIRST)
                seen->set_looking++;
            else
                seen->set_blindly++;
        }
        seen->in_stack += is_near_stack(wake->values[i], wake->thread);
    }
}

static void begin_task(uint32_t thread, struct channel *channel)
{
    struct thread_state *state = &states[thread];

    state->channel = channel;
    memset(state->in_task, 0, subjects_count);
    memcpy(state->at_start, state->values, subjects_count * 8);
}

/* A busy worker takes work without having waited: such a wake is told when the
 * next one comes, or, where nobody was ever seen to wait for it, when somebody is. */
static void note_wake(const struct discover_event *event, uint32_t by)
{
    struct thread_state *state = &states[event->thread];
    struct waking *waking = waking_of(event->object, by, true);
    struct channel *task = state->channel;

    if (waking) {
        struct place waker = place_in(waking->last.stack, facts_inner(waking->last.stack));

        if (!waking->channel)
            waking_keep(waking);
        else if (!waking->is_told && same_place(&waker, &waking->channel->waker))
            tell(waking->channel, &waking->last, NULL);
        waking->last.thread = event->thread;
        waking->last.stack = event->stack;
        waking->is_told = false;
        memcpy(waking->last.values, state->values, subjects_count * 8);
        memcpy(waking->last.sets, state->touched, subjects_count);
        waking->last.giver = task ? state->giver : NOBODY;
        memcpy(waking->last.given, state->given, subjects_count * 8);
    }
    memset(state->touched, 0, subjects_count);
    /* A worker that tells that it is done may go on with the next task, of whomever. */
    if (task) {
        end_task(event->thread);
        begin_task(event->thread, task);
        state->giver = NOBODY;
    }
}

void note_worker(struct channel *channel, uint32_t thread)
{
    is_worker[thread] |= channel->is_pool;
    for (unsigned i = 0; i < channel->workers_count; i++) {
        if (channel->workers[i] == thread)
            return;
    }
    if (channel->workers_count < VALUES_MAX)
        channel->workers[channel->workers_count++] = thread;
}

/* Is that who has handed over the task that wakes it, and waits for it with what it held then? */
static void note_answer(struct channel *channel, const struct wake *wake, uint32_t thread)
{
    for (unsigned i = 0; wake->giver != NOBODY && i < subjects_count; i++) {
        bool is_still = wake->giver == thread && wake->given[i] == states[thread].values[i];

        if (wake->given[i])
            ++*(is_still ? &channel->seen[i].answered : &channel->seen[i].unanswered);
    }
}

static void note_woken(const struct discover_event *event, uint32_t waiter_stack, uint32_t by)
{
    struct waking *waking = waking_of(event->object, by, false);
    struct channel *channel, *before;

    end_task(event->thread);
    if (!waking || waking->last.thread == event->thread || event->value)
        return;
    channel = channel_of(&waking->last, waiter_stack, by);
    if (!channel)
        return;
    waking->channel = channel;
    waking->is_told = true;
    channel->has_first |= event->thread == 0;
    note_worker(channel, event->thread);
    before = waking_tell_kept(waking, event->thread, waiter_stack);
    tell(channel, &waking->last, &states[event->thread]);
    note_answer(channel, &waking->last, event->thread);
    begin_task(event->thread, before && before->pairs > channel->pairs ? before : channel);
    states[event->thread].giver = waking->last.thread;
    memcpy(states[event->thread].given, waking->last.values, subjects_count * 8);
}

static bool begin_state(uint32_t thread)
{
    struct thread_state *state;

    if (thread >= DISCOVER_THREADS)
        return false;
    state = &states[thread];
    if (state->values)
        return true;
    state->values = allocated(calloc(subjects_count + 1, 8));
    state->at_start = allocated(calloc(subjects_count + 1, 8));
    state->given = allocated(calloc(subjects_count + 1, 8));
    state->touched = allocated(calloc(subjects_count + 1, 1));
    state->in_task = allocated(calloc(subjects_count + 1, 1));
    for (unsigned i = 0; i < subjects_count; i++) {
        for (uint32_t module = 0; subjects[i].variable && module < facts->modules; module++) {
            if (facts_module(module) == subjects[i].of)
                state->values[i] = value_of(thread, module, &subjects[i]);
        }
    }
    return true;
}

void follow(void)
{
    words = allocated(calloc(WORDS, sizeof *words));
    subjects_find();
    for (uint32_t i = 0; i < facts_events; i++) {
        const struct discover_event *event = &facts->event[i];
        struct thread_state *state;

        if (!event->kind || !begin_state(event->thread))
            continue;
        state = &states[event->thread];
        switch (event->kind) {
        case DISCOVER_WORD:
            note_word(event);
            break;
        case DISCOVER_KEY:
        case DISCOVER_KEY_FIRST:
            note_key(event);
            break;
        case DISCOVER_WAKE:
        case DISCOVER_CREATE:
            note_wake(event, event->flags);
            break;
        case DISCOVER_WAIT:
            end_task(event->thread);
            memset(state->touched, 0, subjects_count);
            state->waits_stack = event->stack;
            wakings_note_wait(event, state);
            break;
        case DISCOVER_WOKEN:
            note_woken(event, state->waits_stack ? state->waits_stack : event->stack, event->flags);
            break;
        case DISCOVER_START:
            note_woken(&(struct discover_event){.thread = event->thread, .object = event->object},
                       event->stack, BY_THREAD);
            state->start_stack = event->stack;
            state->start_channel = state->channel;
            break;
        case DISCOVER_END:
            end_task(event->thread);
            break;
        default:
            break;
        }
    }
    for (uint32_t i = 0; i < DISCOVER_THREADS; i++)
        end_task(i);
    wakings_of_the_busy();
}
