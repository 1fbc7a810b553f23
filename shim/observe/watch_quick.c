/*
 * What watch.c does, where only a trace is wanted: each of these looks whether all is as it is most often,
 * and then calls nothing, else it goes on, by a jump, in watch.c. The runs between are written in line, by
 * context/trace.h. A handoff is a record, and one for each run.
 *
 * Rules: as in watch.c. What is tested here is all that may be assumed; nothing has changed before the
 * last test.
 */
#include "context/internal.h"
#include "context/observer.h"
#include "context/trace.h"
#include "interpose/hooks.h"
#include "observe/watch_parts.h"
#include "slots/slots.h"

_Static_assert(TRACE_RUN_HEAD == TRACE_WORD(TRACE_START, TRACE_RUN_WORDS, 0, 0), "one format");
_Static_assert(offsetof(struct handoff, node) == offsetof(struct observed, node) &&
                   offsetof(struct handoff, runs) == offsetof(struct observed, runs),
               "what context/ writes of a handoff");

static size_t submit_bytes; /* of the longest record of a submit */

/* What the thread keeps for its handoffs; `of` says that it is this thread's. */
static inline __attribute__((always_inline)) struct watcher *watcher_in(const struct thread *thread)
{
    return atomic_load_explicit(&thread->guests[GUEST_watcher], memory_order_relaxed);
}

/* As observer_fill, word by word; whose it is stands there already. */
static inline __attribute__((always_inline)) struct context *
copy(uint32_t of, struct handoff *handoff, struct context *context)
{
    struct context *own = handoff->own;

    for (size_t at = context_before; unlikely(at); at -= sizeof(uint64_t))
        __builtin_memcpy((char *)own - at, (char *)context - at, sizeof(uint64_t));
    own->flags = of & (context->flags | ~(uint32_t)CONTEXT_EMPTY);
    own->epoch = context->epoch;
    __builtin_memcpy(&own->hops, &context->hops, sizeof own->hops + sizeof own->born_ms);
    own->vars = context->vars;
    own->base = context;
    for (size_t at = offsetof(struct context, key); at < observer_place_at; at += sizeof(void *))
        __builtin_memcpy((char *)own + at, (char *)context + at, sizeof(void *));
    atomic_store_explicit(&own->refs, 1, memory_order_relaxed);
    return own;
}

/* The place that `watcher` was asked for last, or one of those that it knows. */
static inline __attribute__((always_inline)) const struct watched_place *
place_of(struct watcher *watcher, uint64_t key, const void *site)
{
    const struct watched_place *place = watcher->last;

    if (likely(place->site == site && place->key == key))
        return place;
    place = watch_place(watcher, site);
    if (place->site != site || place->key != key)
        return NULL;
    watcher->last = place;
    return place;
}

static inline __attribute__((always_inline)) struct context *
capture(struct thread *thread, struct context *context, uint64_t key, const void *site)
{
    uint32_t of = thread->trace.of;
    const struct watched_place *place;
    struct watcher *watcher;
    struct handoff *handoff;
    uint64_t *record, *end, *reserved;

    if (unlikely((int32_t)of <= 0 || !(handoff = (watcher = watcher_in(thread))->free) ||
                 !(place = place_of(watcher, key, site))))
        return NULL;
    record = arch_move_on(&thread->trace.next, submit_bytes);
    arch_forget(thread->trace.end);
    reserved = (uint64_t *)(void *)((char *)record + submit_bytes);
    if (unlikely(reserved > thread->trace.end))
        return NULL;
    watcher->free = handoff->next;
    watcher->free_count--;
    trace_begin(record, place->head);
    record[TRACE_AT_ID] = handoff->id = ++watcher->last_id;
    record[3] = place->of;
    handoff->from = place->from;
    context = copy(of, handoff, context);
    end = ring_put_words(context, record + 4);
    if (unlikely(end != reserved))
        ring_shorten(watcher, record, end, reserved);
    trace_commit(record, arch_ticks());
    return context;
}

static struct context *capture_plain(struct thread *thread, struct context *context,
                                     unsigned family)
{
    struct context *own =
        capture(thread, context, OBSERVER_CALL(family, hook_call.id), hook_call.site);

    return likely(own != NULL) ? own : watch_capture(thread, context, family);
}

/* hook_call says it from here on. */
static APART struct context *capture_noted(struct thread *thread, struct context *context,
                                           uint64_t call, const void *site)
{
    hook_call.site = site;
    hook_call.id = (uint32_t)(call & 0xffff);
    return watch_capture(thread, context, (unsigned)(call >> 16));
}

static struct context *capture_call(struct thread *thread, struct context *context, uint64_t call,
                                    const void *site)
{
    struct context *own = capture(thread, context, call, site);

    return likely(own != NULL) ? own : capture_noted(thread, context, call, site);
}

static void finished(struct thread *thread, struct context *context)
{
    struct watcher *watcher = watcher_in(thread);
    struct handoff *handoff = *observer_place(context);
    struct context *shared = context->base;

    if (unlikely(atomic_load_explicit(&context->refs, memory_order_acquire) != 1 ||
                 watcher->free_count >= WATCH_BATCH - 1)) {
        context_release_on(thread, context);
        return;
    }
    handoff->id = 0;
    handoff->next = watcher->free;
    watcher->free = handoff;
    watcher->free_count++;
    context_release_on(thread, shared);
}

static const struct observer tracing = {
    .capture = watch_capture,
    .capture_plain = capture_plain,
    .capture_call = capture_call,
    .start = watch_run_start,
    .end = watch_run_end,
    .finish = watch_finish,
    .finished = finished,
    .free = watch_gone,
    .succeed = watch_succeed,
};

void watch_start(const struct config *config)
{
    if (!watch_open(config))
        return;
    submit_bytes = (4 + ring_values_max) * sizeof(uint64_t);
    observer_traces = watch_is_for_trace_only() && !config->strict;
    observer_set(observer_traces ? &tracing : &watch_everything);
}
