/*
 * Each handoff gets an identity while somebody watches: a trace, stacks, the live page, latencies.
 *
 * The way of a handoff: capture gives it a number, a node (where it comes from) and a context of its
 * own; attach and detach tell of its runs, the last release of its end. Each of the four writes to
 * memory of the calling thread, and reads the clock once.
 *
 * Rules: no lock and no system call but where memory is taken in batches; nothing of the program's is
 * called; where there is no room the handoff goes on unwatched, which is counted.
 */
#include "observe/watch.h"

#include <errno.h>
#include <string.h>

#include "base/arch.h"
#include "base/lock.h"
#include "base/mem.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "context/internal.h"
#include "context/observer.h"
#include "interpose/hooks.h"
#include "observe/crash.h"
#include "observe/latency.h"
#include "observe/probe.h"
#include "observe/publish.h"
#include "observe/ring.h"
#include "observe/stacks.h"
#include "observe/watch_parts.h"
#include "slots/slots.h"
#include "userhooks/tally.h"

/* The observers that want more than a trace: what runs where (stacks, the live page), counts by family. */
static bool wants_runs, wants_counts, wants_probes;

static struct config_wishes {
    const char *file;
    unsigned megabytes;
    bool is_live;
} wishes;

static _Atomic uint32_t generation = 1; /* changes in a forked child */
static _Atomic uint32_t rings;

/* Stays with the block; only the block's thread asks and writes. */
static inline struct watcher *watcher_of(struct thread *thread)
{
    return atomic_load_explicit(&thread->guests[GUEST_watcher], memory_order_relaxed);
}

static inline void watcher_keep(struct thread *thread, struct watcher *watcher)
{
    atomic_store_explicit(&thread->guests[GUEST_watcher], watcher, memory_order_relaxed);
}

static struct lock open_lock;

/* ---- threads ---- */

/* Where the mappings of a parent are stays its: the child's threads may be in a context of its. */
static bool open_all(void)
{
    if (!watch_make_copies() || !store_open(wishes.file, wishes.megabytes, wishes.is_live))
        return false;
    ring_is_on = wishes.file != NULL && store_trace->chunk_count;
    if (publish_is_on)
        publish_open();
    return true;
}

/* A child has made nothing yet: it does so when it first hands over. In a sandbox that forbids it it is not watched. */
static bool open_again(void)
{
    bool is_open;

    if (!sandbox_allows(SANDBOX_FILES))
        return false;
    lock_take(&open_lock);
    is_open = store_live || open_all();
    lock_drop(&open_lock);
    return is_open;
}

static __attribute__((noinline)) struct watcher *watch_slow(struct thread *thread)
{
    uint32_t present = atomic_load(&generation);
    struct watcher *watcher;
    int saved_errno = errno;

    if (!thread || thread == &thread_unknown || (!store_live && !open_again()))
        return NULL;
    watcher = watcher_of(thread);
    if (!watcher && !(watcher = mem_alloc(sizeof *watcher)))
        return NULL;
    if (watcher->generation != present) {
        struct watched_site *sites = watcher->sites;
        void *stack = watcher->handler_stack;

        *watcher = (struct watcher){.sites = sites, .handler_stack = stack, .generation = present};
        watcher->live = store_thread();
        if (!watcher->live) {
            mem_free(watcher, sizeof *watcher);
            watcher_keep(thread, NULL);
            return NULL;
        }
        thread->trace = (struct thread_trace){0};
        watcher->ring = atomic_fetch_add(&rings, 1) + 1;
        watcher->last_id = (uint64_t)watcher->ring << 32;
    }
    watcher_keep(thread, watcher);
    watcher_self = watcher;
    watcher->thread = thread;
    for (unsigned i = 0; i < WATCH_SITES; i++) /* they know the number of the thread */
        watcher->places[i].key = UINT64_MAX;
    watcher->tid = lock_self(); /* the system may not be asked any more */
    watcher->live->tid = watcher->tid;
    watcher->live->depth = 0;
    watcher->last = &watcher->places[0];
    watcher->is_busy = false;
    thread->trace.open = NULL;
    thread->trace.of = observer_traces ? observer_flags() | CONTEXT_EMPTY : TRACE_OF_NOBODY;
    watcher->published = publish_is_on ? publish_place() : NULL;
    ring_thread(watcher);
    crash_thread(watcher);
    errno = saved_errno;
    return watcher;
}

/* A block that has gone to another thread is not this one's; in a forked child nobody has one. */
static inline __attribute__((always_inline)) struct watcher *watch(struct thread *thread)
{
    struct watcher *watcher = watcher_self;

    if (likely(watcher && watcher->thread == thread))
        return watcher;
    return watch_slow(thread);
}

struct watcher *watch_thread(struct thread *thread)
{
    return watch(thread);
}

/* ---- handoffs ---- */

static inline __attribute__((always_inline)) struct context *give_context(struct handoff *handoff,
                                                                          struct context *context)
{
    if (unlikely(publish_is_on))
        publish_fill((uint32_t)(handoff - store_handoffs), context);
    if (unlikely(context->flags & CONTEXT_ONCE)) {
        observer_tag(context, handoff);
        return context;
    }
    observer_fill(handoff->own, context, handoff);
    return handoff->own;
}

/* Of a parent's handoff a forked child knows nothing. */
static inline const struct handoff *parent_of(const struct thread *thread)
{
    const struct handoff *parent;

    if (!thread_is_attached(thread))
        return NULL;
    parent = observer_handoff(thread->attached);
    return watch_is_ours(parent) ? parent : NULL;
}

/* Where it comes from: asked for again and again at the same places. */
static struct handoff_from from_here(struct watcher *watcher, uint32_t parent, unsigned family)
{
    bool is_hook = hooks_family(hook_call.id) == family && hook_call.site;
    const void *site = is_hook ? hook_call.site : NULL;
    struct watched_place *place = watch_place(watcher, site);
    uint32_t named = family == FAMILY_NAMED ? tally_last(thread_self) : 0;
    uint64_t key = (uint64_t)parent << 32 | OBSERVER_CALL(family, hook_call.id);
    uint16_t hook = (uint16_t)(is_hook ? hook_call.id + 1 : named ? HOOK_COUNT + named : 0);

    if (place->site == site && place->from.hook == hook && place->key == key &&
        !(stacks_depth && is_hook)) {
        watcher->last = place;
        return place->from;
    }
    place->site = site;
    place->key = key;
    place->from = (struct handoff_from){
        .node = store_node(parent, is_hook ? stacks_here(watcher) : 0),
        .hook = hook,
        .family = (uint8_t)family,
        .tid = watcher->tid,
    };
    place->of = (uint64_t)family << TRACE_FAMILY_SHIFT;
    place->head = TRACE_WORD(TRACE_SUBMIT, 4 + ring_values_max, place->from.hook, place->from.node);
    watcher->last = place;
    return place->from;
}

/* ---- what the observer is told ---- */

static inline __attribute__((always_inline)) void write_submit(struct watcher *watcher,
                                                               const struct handoff *handoff,
                                                               const struct handoff *parent,
                                                               const struct context *context)
{
    unsigned room = 4 + ring_values_max, words;
    uint64_t *record = ring_reserve(watcher, room);

    if (!record)
        return;
    trace_begin(record, TRACE_WORD(TRACE_SUBMIT, room, handoff->hook, handoff->node));
    record[TRACE_AT_ID] = handoff->id;
    record[3] = (parent ? parent->id : 0) | (uint64_t)handoff->family << TRACE_FAMILY_SHIFT;
    words = 4 + ring_values(context, record + 4, ring_values_max);
    if (words < room)
        ring_shorten(watcher, record, record + words, record + room);
    trace_commit(record, handoff->submitted);
}

struct context *watch_capture(struct thread *thread, struct context *context, unsigned family)
{
    struct watcher *watcher = watch(thread);
    const struct handoff *parent = parent_of(thread);
    struct handoff *handoff;

    if (unlikely(!watcher || !(handoff = watch_new_handoff(watcher))))
        return context;
    handoff->submitted = watch_ticks();
    handoff->from = from_here(watcher, parent ? parent->node : 0, family);
    handoff->id = ++watcher->last_id;
    context = give_context(handoff, context);
    if (wants_counts)
        watcher->live->submitted[family]++;
    if (ring_is_on)
        write_submit(watcher, handoff, parent, context);
    PROBE_3("submit", handoff->id, family, handoff->node);
    return context;
}

/* To readers outside: what the innermost run is of. */
static void show(struct watcher *watcher)
{
    uint32_t depth = watcher->live->depth;

    *watcher->published =
        depth && depth <= LIVE_NEST
            ? publish_record((uint32_t)(watcher->live->runs[depth - 1].handoff - store_handoffs))
            : NULL;
}

static void note_start(struct watcher *watcher, struct handoff *handoff, uint64_t now)
{
    struct live_thread *live = watcher->live;

    if (wants_counts && !handoff->runs) {
        uint64_t queued = now - handoff->submitted;

        live->started[handoff->family]++;
        live->queue[handoff->family][live_bucket(queued)]++;
        if (queued > live->queue_max[handoff->family])
            live->queue_max[handoff->family] = queued;
        if (handoff->hook > HOOK_COUNT)
            latency_note_hook(handoff->hook - HOOK_COUNT - 1, queued);
    }
    if (live->depth < LIVE_NEST)
        live->runs[live->depth] = (struct live_run){handoff->id, now, handoff, handoff->node, 0};
    __atomic_store_n(&live->depth, live->depth + 1, __ATOMIC_RELEASE);
    if (watcher->published)
        show(watcher);
}

/* A record for its end too, if it is the only run of this handoff in the thread and none is open already. */
static void write_start(struct watcher *watcher, const struct handoff *handoff, uint64_t now)
{
    struct thread_trace *trace = &watcher->thread->trace;
    uint64_t *record = ring_reserve(watcher, TRACE_RUN_WORDS);

    if (!record)
        return;
    trace_begin(record, TRACE_RUN_HEAD);
    record[TRACE_AT_ID] = handoff->id;
    if (!trace->open)
        trace->open = record;
    else if (trace->open[TRACE_AT_ID] == handoff->id)
        trace->open = NULL;
    trace_commit(record, now);
}

static void write_end(struct watcher *watcher, const struct handoff *handoff, enum observed_end how)
{
    struct thread_trace *trace = &watcher->thread->trace;
    uint64_t *open = trace->open;

    if (open && open[TRACE_AT_ID] == handoff->id) {
        trace->open = NULL;
        if (how == ENDED_RETURN) {
            open[TRACE_AT_END] = watch_ticks();
            return;
        }
    }
    ring_write(watcher, TRACE_WORD(TRACE_END, 3, how, 0), watch_ticks(), handoff->id);
}

void watch_run_start(struct thread *thread, const struct context *context)
{
    struct watcher *watcher = watch(thread);
    struct handoff *handoff = observer_handoff(context);
    uint64_t now;

    if (unlikely(!watcher || !watch_is_ours(handoff)))
        return;
    now = watch_ticks();
    if (wants_runs)
        note_start(watcher, handoff, now);
    if (ring_is_on)
        write_start(watcher, handoff, now);
    handoff->runs++;
    PROBE_3("start", handoff->id, handoff->family, handoff->node);
}

static inline __attribute__((always_inline)) void
note_end(struct watcher *watcher, const struct handoff *handoff, enum observed_end how)
{
    if (wants_runs && watcher->live->depth)
        __atomic_store_n(&watcher->live->depth, watcher->live->depth - 1, __ATOMIC_RELEASE);
    if (watcher->published)
        show(watcher);
    if (ring_is_on)
        write_end(watcher, handoff, how);
    PROBE_3("end", handoff->id, handoff->family, how);
}

void watch_run_end(struct thread *thread, const struct context *context, enum observed_end how)
{
    struct watcher *watcher = watch(thread);
    struct handoff *handoff = observer_handoff(context);

    if (likely(watcher && watch_is_ours(handoff)))
        note_end(watcher, handoff, how);
}

static inline __attribute__((always_inline)) void note_gone(struct watcher *watcher,
                                                            struct handoff *handoff)
{
    if (watcher && wants_counts) {
        watcher->live->finished[handoff->family]++;
        watcher->live->dropped[handoff->family] += !handoff->runs;
    }
    if (unlikely(!handoff->runs)) {
        if (watcher)
            ring_write(watcher, TRACE_WORD(TRACE_DROP, 3, 0, 0), watch_ticks(), handoff->id);
        PROBE_3("drop", handoff->id, handoff->family, handoff->node);
    }
    if (likely(watcher != NULL))
        watch_free_handoff(watcher, handoff);
    else
        watch_free_unwatched(handoff);
}

void watch_gone(struct context *context)
{
    struct thread *thread = thread_self;
    struct watcher *watcher = thread == &thread_unknown ? NULL : watch(thread);
    struct handoff *handoff = observer_handoff(context);
    struct context *shared = context->flags & CONTEXT_WATCHED ? context->base : NULL;

    if (watch_is_ours(handoff))
        note_gone(watcher, handoff);
    if (shared)
        context_release(shared);
}

/* A watched copy whose last reference this is has no other reader: nothing is counted down. */
void watch_finish(struct thread *thread, struct context *context)
{
    struct watcher *watcher = watch(thread);
    struct handoff *handoff = *observer_place(context);
    struct context *shared = context->base;

    if (unlikely(!watcher || !watch_is_ours(handoff))) {
        context_release_on(thread, context);
        return;
    }
    note_end(watcher, handoff, ENDED_RETURN);
    if (unlikely(atomic_load_explicit(&context->refs, memory_order_acquire) != 1)) {
        context_release_on(thread, context);
        return;
    }
    note_gone(watcher, handoff);
    context_release_on(thread, shared);
}

struct context *watch_succeed(const struct context *context, struct context *next)
{
    struct watcher *watcher = watch(thread_self);
    const struct handoff *before = observer_handoff(context);
    struct handoff *handoff;

    if (!watcher || !watch_is_ours(before) || next->flags & (CONTEXT_WATCHED | CONTEXT_TAGGED) ||
        !(handoff = watch_new_handoff(watcher)))
        return next;
    handoff->id = before->id;
    handoff->submitted = before->submitted;
    handoff->from = before->from;
    if (wants_counts)
        watcher->live->submitted[handoff->family]++;
    return give_context(handoff, next);
}

/* A handoff that is let go of meanwhile has been the same one's a moment ago. */
static uint32_t node_of(const struct context *context)
{
    const struct handoff *handoff = observer_handoff(context);

    return stacks_depth && watch_is_ours(handoff) ? handoff->node : 0;
}

const struct observer watch_everything = {
    .capture = watch_capture,
    .capture_plain = watch_capture,
    .start = watch_run_start,
    .end = watch_run_end,
    .finish = watch_finish,
    .free = watch_gone,
    .succeed = watch_succeed,
    .node = node_of,
    .tell = stacks_tell,
};

/* ---- from start to exit ---- */

bool watch_is_wanted(const struct config *config)
{
    return config->trace || config->stacks || config->live || config->probes || config->latency ||
           config->publish.count;
}

bool watch_open(const struct config *config)
{
    store_has_ticks = arch_has_ticks();
    wishes = (struct config_wishes){config->trace, config->trace_size, config->live};
    wants_counts = config->live || config->latency;
    wants_runs = wants_counts || config->stacks || publish_is_on;
    wants_probes = config->probes;
    tally_keeps_last = named_count > 0;
    if (config->latency)
        latency_begin_hooks();
    ring_plan(config);
    return open_all();
}

bool watch_is_for_trace_only(void)
{
    return ring_is_on && store_has_ticks && !wants_runs && !wants_probes && !stacks_depth &&
           ring_has_words_only && slots_key_count + context_before / 8 <= 16;
}

void watch_stop(void)
{
    store_close();
}

void watch_fork_lock(void)
{
    store_fork_lock();
    lock_take_for_fork(&open_lock);
    watch_handoffs_fork_lock();
}

/* What is mapped is the parent's, and so are the handoffs in flight: they end unseen in the child. */
void watch_fork_unlock(bool is_child)
{
    if (is_child && observer) {
        store_forget();
        latency_forget_hooks();
        watcher_self = NULL;
        observer_generation = observer_generation % INT16_MAX + 1;
        thread_self->trace = (struct thread_trace){0};
        atomic_fetch_add(&generation, 1);
    }
    watch_handoffs_fork_unlock(is_child && observer);
    lock_drop_after_fork(&open_lock);
    store_fork_unlock();
}
