/*
 * What watch.c does, where only a trace is wanted: each of these looks whether all is as it is most often,
 * and then calls nothing, else it goes on, by a jump, in watch.c. A handoff is three records.
 *
 * Rules: as in watch.c. What is tested here is all that may be assumed; nothing has changed before the
 * last test.
 */
#include "context/internal.h"
#include "context/observer.h"
#include "interpose/hooks.h"
#include "observe/probe.h"
#include "observe/watch_parts.h"
#include "slots/slots.h"

static inline __attribute__((always_inline)) bool has_room(const struct watcher *watcher,
                                                           unsigned words)
{
    return likely(!watcher->is_busy) && likely(watcher->next + words <= watcher->end);
}

/* The ring is this thread's, and `has_room` was asked. */
static inline __attribute__((always_inline)) void write_run(struct watcher *watcher, uint64_t word,
                                                            uint64_t id)
{
    uint64_t *record = watcher->next;

    watcher->is_busy = true;
    atomic_signal_fence(memory_order_acq_rel);
    record[0] = word;
    record[1] = arch_ticks();
    record[2] = id;
    ring_commit(watcher, 3);
}

/* As observer_fill, word by word. */
static inline __attribute__((always_inline)) struct context *copy(struct handoff *handoff,
                                                                  struct context *context)
{
    struct context *own = handoff->own;

    for (size_t at = context_before; unlikely(at); at -= sizeof(uint64_t))
        __builtin_memcpy((char *)own - at, (char *)context - at, sizeof(uint64_t));
    own->flags = (context->flags & CONTEXT_EMPTY) | CONTEXT_WATCHED | CONTEXT_ONCE;
    own->epoch = context->epoch;
    own->hops = context->hops;
    own->born_ms = context->born_ms;
    own->vars = context->vars;
    own->base = context;
    for (unsigned i = 0; i < slots_key_count; i++)
        own->key[i] = context->key[i];
    *observer_place(own) = handoff;
    atomic_store_explicit(&own->refs, 1, memory_order_relaxed);
    return own;
}

static struct context *capture_plain(struct thread *thread, struct context *context,
                                     unsigned family)
{
    struct watcher *watcher = watcher_self;
    const void *site = hook_call.site;
    const struct watched_place *place;
    struct handoff *handoff;
    uint64_t *record;
    unsigned words;

    if (unlikely(!watcher || watcher->thread != thread || !has_room(watcher, 4 + ring_values_max)))
        return watch_capture(thread, context, family);
    place = watch_place(watcher, site);
    handoff = watcher->free;
    if (unlikely(place->site != site || place->call != hook_call.id || place->parent ||
                 place->from.family != family || !handoff))
        return watch_capture(thread, context, family);
    watcher->is_busy = true;
    watcher->free = handoff->next;
    watcher->free_count--;
    record = watcher->next;
    record[3] = (uint64_t)family << TRACE_FAMILY_SHIFT;
    record[2] = handoff->id = ++watcher->last_id;
    record[1] = handoff->submitted = arch_ticks();
    handoff->from = place->from;
    handoff->shared = context;
    context = copy(handoff, context);
    words = 4 + ring_values_of_words(context, record + 4);
    record[0] = place->head | words << 8;
    ring_commit(watcher, words);
    PROBE_3("submit", handoff->id, family, handoff->node);
    return context;
}

static void start(struct thread *thread, const struct context *context)
{
    struct watcher *watcher = watcher_self;
    struct handoff *handoff;

    if (likely(watcher && watcher->thread == thread && context->flags & CONTEXT_WATCHED &&
               has_room(watcher, 3)) &&
        likely(watch_is_ours(handoff = *observer_place(context)))) {
        write_run(watcher, TRACE_WORD(TRACE_START, 3, handoff->runs, 0), handoff->id);
        handoff->runs++;
        PROBE_3("start", handoff->id, handoff->family, handoff->node);
        return;
    }
    watch_run_start(thread, context);
}

static void end(struct thread *thread, const struct context *context, enum observed_end how)
{
    struct watcher *watcher = watcher_self;
    struct handoff *handoff;

    if (likely(watcher && watcher->thread == thread && context->flags & CONTEXT_WATCHED &&
               has_room(watcher, 3)) &&
        likely(watch_is_ours(handoff = *observer_place(context)))) {
        write_run(watcher, TRACE_WORD(TRACE_END, 3, how, 0), handoff->id);
        PROBE_3("end", handoff->id, handoff->family, how);
        return;
    }
    watch_run_end(thread, context, how);
}

static void finish(struct thread *thread, struct context *context)
{
    struct watcher *watcher = watcher_self;
    struct context *shared = context->base;
    struct handoff *handoff;

    if (likely(watcher && watcher->thread == thread && has_room(watcher, 3) &&
               atomic_load_explicit(&context->refs, memory_order_acquire) == 1 &&
               watcher->free_count < WATCH_BATCH - 1) &&
        likely(watch_is_ours(handoff = *observer_place(context)))) {
        write_run(watcher, TRACE_WORD(TRACE_END, 3, ENDED_RETURN, 0), handoff->id);
        PROBE_3("end", handoff->id, handoff->family, ENDED_RETURN);
        watch_free_handoff(watcher, handoff);
        context_release_on(thread, shared);
        return;
    }
    watch_finish(thread, context);
}

static const struct observer tracing = {
    .capture = watch_capture,
    .capture_plain = capture_plain,
    .start = start,
    .end = end,
    .finish = finish,
    .free = watch_gone,
    .succeed = watch_succeed,
};

void watch_start(const struct config *config)
{
    if (watch_open(config))
        observer_set(watch_is_for_trace_only() ? &tracing : &watch_everything);
}
