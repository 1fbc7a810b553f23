/*
 * One thread woke another: is it a pool that hands over work, who hooks it already, and which function, with which
 * arguments, is to be named.
 *
 * A pool's worker calls what it was given: there is a call through a pointer in one of the functions that it waits
 * in. A thread that waits for a result does not. Without Zydis, or of a huge library, that is not known, and everybody may be
 * a worker.
 */
#include <stdio.h>
#include <string.h>

#include "elf/file.h"
#include "facts.h"

enum { WORKER_FRAMES = 4, SUBMIT_FRAMES = 6, CODE_MAX = 16 << 20 };

static struct place frame_of(uint32_t stack, uint32_t frame)
{
    return facts_place(facts->stack[stack].frames[frame], true);
}

static uint32_t frames_of(uint32_t stack)
{
    return stack < DISCOVER_STACKS && facts->stack[stack].count <= DISCOVER_FRAMES
               ? facts->stack[stack].count
               : 0;
}

static unsigned index_of(const struct place *place)
{
    return (unsigned)(place->function - place->names->functions);
}

static bool is_named(const struct place *place, const char *name)
{
    return place->function && place->function->name && !strcmp(place->function->name, name);
}

/* The functions that the waiting thread is in, and what those call directly. */
bool pool_waits_in(const struct channel *channel, const struct names *names, unsigned function)
{
    uint32_t first = facts_inner(channel->waiter_stack), count = frames_of(channel->waiter_stack);

    for (uint32_t i = first; i < count && i < first + WORKER_FRAMES; i++) {
        struct place place = frame_of(channel->waiter_stack, i);
        const struct code *code;

        if (!place.function || place.names != names || is_named(&place, "main"))
            continue;
        if (index_of(&place) == function)
            return true;
        code = code_of(place.names);
        for (unsigned j = 0; j < code->edges_count; j++) {
            if (code->edges[j][0] == index_of(&place) && code->edges[j][1] == function)
                return true;
        }
    }
    return false;
}

/* Reading all instructions of such a library takes many seconds (libopenblas: 30 MB). */
static bool is_too_large(const struct names *names)
{
    const struct elf_module *elf = &names->module->elf;
    size_t size = 0;

    for (size_t i = 0; i < elf->phnum; i++)
        size += elf->phdr[i].p_type == PT_LOAD && elf->phdr[i].p_flags & PF_X
                    ? elf->phdr[i].p_filesz
                    : 0;
    return size > CODE_MAX;
}

static bool calls_pointers(const struct channel *channel)
{
    uint32_t first = facts_inner(channel->waiter_stack), count = frames_of(channel->waiter_stack);

    if (!code_is_known() || (channel->waiter.names && is_too_large(channel->waiter.names)))
        return true;
    for (uint32_t i = first; i < count && i < first + WORKER_FRAMES; i++) {
        struct place place = frame_of(channel->waiter_stack, i);
        const struct code *code;

        if (!place.function || facts_is_runtime(place.names) || is_named(&place, "main"))
            continue;
        code = code_of(place.names);
        for (unsigned j = 0; j < place.names->functions_count; j++) {
            if (code->is_indirect[j] && pool_waits_in(channel, place.names, j))
                return true;
        }
    }
    return false;
}

/* ---- what baton knows already ---- */

/* A library of which functions are hooked by name does the rest of its handing over by itself. */
static const char *family_of_library(const struct names *names)
{
    if (!names || names->module->elf.is_main)
        return NULL;
    for (unsigned i = 0; i < names->functions_count; i++) {
        const struct function *function = &names->functions[i];
        const char *family =
            function->is_exported && function->name ? family_of_function(function->name) : NULL;

        if (family)
            return family;
    }
    return NULL;
}

static void look_for_known(struct channel *channel)
{
    uint32_t count = frames_of(channel->waker_stack);

    for (uint32_t i = 0; i < count; i++) {
        struct place place = frame_of(channel->waker_stack, i);

        if (!place.function || !place.function->name)
            continue;
        if (!channel->family)
            channel->family = family_of_function(place.function->name);
        if (!channel->preset)
            channel->preset = preset_of_function(place.function->name);
    }
    if (!channel->family && !channel->preset && channel->waiter.names == channel->waker.names)
        channel->family = family_of_library(channel->waiter.names);
}

/* Of a thread that was started, its first function. */
bool place_is_start(const struct place *place)
{
    for (uint32_t i = 0; i < facts->threads && i < DISCOVER_THREADS; i++) {
        struct place start = facts_place(facts->thread[i].start_routine, false);

        if (facts->thread[i].start_routine && place->function && start.names == place->names &&
            start.function == place->function)
            return true;
    }
    return false;
}

/*
 * A worker's own loop that wakes somebody, who waits in a function that is no worker's loop: it says that it has
 * done what it was given. What hands work over is called by the loop.
 */
static bool is_loop(const struct place *place, const struct channel *besides)
{
    for (unsigned i = 0; i < channels_count; i++) {
        const struct channel *channel = &channels[i];

        if (channel != besides && channel->is_pool && place->function &&
            channel->waiter.function == place->function)
            return true;
    }
    return false;
}

bool pool_waits_in_main(const struct channel *channel)
{
    for (uint32_t i = 0; i < frames_of(channel->waiter_stack); i++) {
        struct place place = frame_of(channel->waiter_stack, i);

        if (is_named(&place, "main"))
            return true;
    }
    return false;
}

void pools_compare(void)
{
    for (unsigned i = 0; i < channels_count; i++) {
        struct channel *channel = &channels[i];

        channel->is_answer = channel->is_pool && !channel->family && !channel->preset &&
                             !channel->item[0] && channel->waiter.names == channel->waker.names &&
                             (channel->has_first || pool_waits_in_main(channel)) &&
                             (is_loop(&channel->waker, channel) || place_is_start(&channel->waker));
    }
    for (unsigned i = 0; i < channels_count; i++)
        channels[i].is_pool &= !channels[i].is_answer;
}

/* The function that runs Python's code, by that name in all that have it. */
#define PYTHONS "_PyEval_EvalFrameDefault"

static bool has_python(const struct place *place)
{
    struct elf_symbol symbol;

    return place->names &&
           elf_dynsym_find(&place->names->module->elf, PYTHONS, NULL, ELF_FUNC, &symbol);
}

/* Its own threads give memory back. */
static bool is_of_allocator(const struct place *place)
{
    return place->names && facts_is_allocator(place->names);
}

bool pool_may_be(const struct channel *channel)
{
    return !channel->is_pythons && !is_of_allocator(&channel->waiter) &&
           !is_of_allocator(&channel->waker);
}

bool pool_look_outwards(struct channel *channel, pool_fits *fits, void *arg)
{
    uint32_t first = facts_inner(channel->waker_stack), count = frames_of(channel->waker_stack);
    struct place inner = {NULL, NULL, 0};

    for (uint32_t i = first; i < count && i < first + SUBMIT_FRAMES; i++) {
        struct place place = frame_of(channel->waker_stack, i), hidden;

        if (!place.function || place.names != channel->waker.names)
            break;
        hidden = submit_hidden(&place, &inner);
        if (fits(channel, &hidden, arg))
            return true;
        if (is_named(&place, "main"))
            break;
        if (fits(channel, &place, arg))
            return true;
        inner = place;
    }
    return false;
}

static bool item_fits(struct channel *channel, const struct place *place, void *field)
{
    return submit_item(channel, place, field, ITEM_MAX);
}

void pool_look(struct channel *channel)
{
    char field[ITEM_MAX] = "";

    if (channel->by == BY_THREAD) {
        channel->is_pool = true;
        channel->family = "pthread";
        return;
    }
    /* What its interpreter waits for is a lock, or work that is objects of its own. */
    channel->is_pythons =
        facts_has_frame(channel->waker_stack, PYTHONS) ||
        facts_has_frame(channel->waiter_stack, PYTHONS) ||
        (channel->waker.names == channel->waiter.names && has_python(&channel->waker));
    channel->is_pool = pool_may_be(channel) && calls_pointers(channel);
    look_for_known(channel);
    if (channel->family || channel->preset)
        channel->is_pool = true;
    if (!channel->is_pool || channel->family || channel->preset)
        return;
    if (!pool_look_outwards(channel, item_fits, field))
        memcpy(channel->item, field, sizeof field);
}
