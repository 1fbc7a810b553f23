/*
 * Objects that are woken. Whether a worker waits when work comes is chance: a single one beside a busy machine may take
 * all of it in one go, and never wait. What was handed over to it is no less a handoff:
 *
 * - wakes that found nobody are kept until somebody is woken by that object, and are told then;
 * - where nobody ever waits for it, those are its workers that were started and never waited for anything, if they all
 *   begin with one function, in the module that wakes. Threads that spin, or wait for a lock, look the same: such a way
 *   stands only if something turns out to be context there (judge.c).
 */
#include "wakings.h"

#include <stdlib.h>
#include <string.h>

enum { OBJECTS = 1 << 12, WAKES_MIN = 4 };

static struct waking wakings[OBJECTS];

static void make_wake(struct wake *wake)
{
    wake->values = allocated(calloc(subjects_count + 1, 8));
    wake->sets = allocated(calloc(subjects_count + 1, 1));
    wake->given = allocated(calloc(subjects_count + 1, 8));
    wake->giver = NOBODY;
}

struct waking *waking_of(uint64_t object, uint32_t by, bool is_made)
{
    uint64_t hash = (object + by) * UINT64_C(0x9e3779b97f4a7c15) >> 52;

    for (unsigned tries = 0; tries < 64; tries++) {
        struct waking *waking = &wakings[(hash + tries) % OBJECTS];

        if (waking->last.values && waking->object == object && waking->by == by)
            return waking;
        if (!waking->last.values && is_made) {
            waking->object = object;
            waking->by = by;
            make_wake(&waking->last);
            return waking;
        }
        if (!waking->last.values)
            return NULL;
    }
    return NULL;
}

void waking_keep(struct waking *waking)
{
    struct wake *wake = &waking->kept[waking->kept_count];

    if (!waking->last.stack || waking->is_told || waking->kept_count == KEPT_WAKES)
        return;
    make_wake(wake);
    wake->thread = waking->last.thread;
    wake->stack = waking->last.stack;
    memcpy(wake->values, waking->last.values, subjects_count * 8);
    memcpy(wake->sets, waking->last.sets, subjects_count);
    waking->kept_count++;
}

static void forget_kept(struct waking *waking)
{
    while (waking->kept_count) {
        struct wake *wake = &waking->kept[--waking->kept_count];

        free(wake->values);
        free(wake->sets);
        free(wake->given);
    }
}

struct channel *waking_tell_kept(struct waking *waking, uint32_t thread, uint32_t waiter_stack)
{
    struct channel *most = NULL;

    for (unsigned i = 0; i < waking->kept_count; i++) {
        const struct wake *wake = &waking->kept[i];
        struct channel *channel =
            wake->thread == thread ? NULL : channel_of(wake, waiter_stack, waking->by);

        if (!channel)
            continue;
        note_worker(channel, thread);
        tell(channel, wake, &states[thread]);
        if (!most || channel->pairs > most->pairs)
            most = channel;
    }
    forget_kept(waking);
    return most;
}

void wakings_note_wait(const struct discover_event *event, struct thread_state *state)
{
    struct waking *waking = waking_of(event->object, event->flags, true);

    state->has_waited = true;
    if (waking)
        waking->is_waited = true;
}

/* ---- who never waits ---- */

/* A thread that was busy from its start on, in what WAKER's module runs: it may be who takes this work. */
static bool is_busy_thread(uint32_t thread, const struct place *waker)
{
    const struct thread_state *state = &states[thread];
    struct place start = place_in(state->start_stack, facts_inner(state->start_stack));

    return state->values && state->start_channel && !state->has_waited && start.function &&
           start.names == waker->names;
}

/* The first thread of those; UINT32_MAX: none, or they begin with different functions, and nobody knows which. */
static uint32_t find_busy(const struct place *waker)
{
    uint32_t found = UINT32_MAX;
    struct place first = {.names = NULL};

    for (uint32_t i = 0; i < DISCOVER_THREADS; i++) {
        struct place start;

        if (!is_busy_thread(i, waker))
            continue;
        start = place_in(states[i].start_stack, facts_inner(states[i].start_stack));
        if (found != UINT32_MAX && !same_place(&start, &first))
            return UINT32_MAX;
        if (found == UINT32_MAX)
            first = start;
        found = found < i ? found : i;
    }
    return found;
}

/* A worker tells that it has done something, and nobody waits for that: it hands over nothing to its like. */
static bool is_its_like(uint32_t waker, uint32_t thread)
{
    uint32_t one = states[waker].start_stack, other = states[thread].start_stack;
    struct place start = place_in(one, facts_inner(one)),
                 others = place_in(other, facts_inner(other));

    return states[waker].start_channel && same_place(&start, &others);
}

/* What they did from their start on was the tasks. */
static void add_tasks(struct channel *channel, const struct channel *start)
{
    for (unsigned i = 0; i < subjects_count; i++) {
        channel->seen[i].tasks += start->seen[i].tasks;
        channel->seen[i].changed += start->seen[i].changed;
        channel->seen[i].got_first += start->seen[i].got_first;
        channel->seen[i].set_first += start->seen[i].set_first;
    }
}

static void tell_busy(struct waking *waking)
{
    for (unsigned i = 0; i < waking->kept_count; i++) {
        const struct wake *wake = &waking->kept[i];
        struct place waker = place_in(wake->stack, facts_inner(wake->stack));
        uint32_t thread = waker.function ? find_busy(&waker) : UINT32_MAX;
        unsigned before = channels_count;
        struct channel *channel = thread == UINT32_MAX || thread == wake->thread ||
                                          is_its_like(wake->thread, thread)
                                      ? NULL
                                      : channel_of(wake, states[thread].start_stack, waking->by);

        if (!channel)
            continue;
        note_worker(channel, thread);
        tell(channel, wake, &states[thread]);
        if (channels_count > before) {
            channel->is_guess = true;
            add_tasks(channel, states[thread].start_channel);
        }
    }
}

void wakings_of_the_busy(void)
{
    for (unsigned i = 0; i < OBJECTS; i++) {
        struct waking *waking = &wakings[i];

        if (!waking->last.values || waking->channel || waking->is_waited || waking->by == BY_THREAD)
            continue;
        waking_keep(waking);
        if (waking->kept_count >= WAKES_MIN)
            tell_busy(waking);
        forget_kept(waking);
    }
}

unsigned threads_that_never_wait(void)
{
    unsigned count = 0;

    for (uint32_t i = 0; i < DISCOVER_THREADS; i++)
        count += states[i].values && states[i].start_channel && !states[i].has_waited;
    return count;
}
