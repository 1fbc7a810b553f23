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
#include "base/sys.h"
#include "context/internal.h"
#include "context/observer.h"
#include "interpose/hooks.h"
#include "observe/crash.h"
#include "observe/probe.h"
#include "observe/ring.h"
#include "observe/stacks.h"
#include "slots/slots.h"

enum { FREE_AT_HAND = 256, FREE_BATCH = 128 };

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

static struct lock free_lock;
static struct handoff *free_handoffs;
static char *copies; /* a watched copy for each handoff, at the same place in the row */
static size_t copy_size;

static inline uint64_t now_ticks(void)
{
    return likely(store_has_ticks) ? arch_ticks() : store_ticks_slow();
}

/* ---- threads ---- */

/* Where the mappings of a parent are stays its: the child's threads may be in a context of its. */
static bool open_all(void)
{
    long result = SYS_CALL(mmap, NULL, copy_size * LIVE_HANDOFFS, PROT_READ | PROT_WRITE,
                           MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0L);

    if (result < 0 && result > -4096)
        return false;
    copies = (char *)result;
    if (!store_open(wishes.file, wishes.megabytes, wishes.is_live))
        return false;
    ring_is_on = wishes.file != NULL && store_trace->chunk_count;
    return true;
}

/* A child has made nothing yet: it does so when it first hands over. */
static bool open_again(void)
{
    bool is_open;

    lock_take(&free_lock);
    is_open = store_live || open_all();
    lock_drop(&free_lock);
    return is_open;
}

static __attribute__((noinline)) struct watcher *watch_slow(struct thread *thread)
{
    uint32_t present = atomic_load(&generation);
    struct watcher *watcher;
    int saved_errno = errno;

    if (thread == &thread_unknown || (!store_live && !open_again()))
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
        watcher->ring = atomic_fetch_add(&rings, 1) + 1;
        watcher->last_id = (uint64_t)watcher->ring << 32;
    }
    watcher_keep(thread, watcher);
    watcher_self = watcher;
    watcher->tid = (uint32_t)SYS_CALL(gettid, 0);
    watcher->live->tid = watcher->tid;
    watcher->live->depth = 0;
    watcher->is_busy = false;
    ring_thread(watcher);
    crash_thread(watcher);
    errno = saved_errno;
    return watcher;
}

static inline struct watcher *watch(struct thread *thread)
{
    struct watcher *watcher = watcher_self;

    if (likely(watcher && watcher == watcher_of(thread) &&
               watcher->generation == atomic_load_explicit(&generation, memory_order_relaxed)))
        return watcher;
    return watch_slow(thread);
}

struct watcher *watch_thread(struct thread *thread)
{
    return watch(thread);
}

/* ---- handoffs ---- */

static __attribute__((noinline)) struct handoff *handoffs_more(struct watcher *watcher)
{
    struct handoff *first;
    uint32_t number;

    lock_take(&free_lock);
    first = free_handoffs;
    for (struct handoff *last = first; last; last = last->next) {
        if (++watcher->free_count == FREE_BATCH || !last->next) {
            free_handoffs = last->next;
            last->next = NULL;
            break;
        }
    }
    lock_drop(&free_lock);
    if (!first && (number = store_reserve_handoffs(FREE_BATCH)) != UINT32_MAX) {
        first = &store_handoffs[number];
        for (unsigned i = 0; i < FREE_BATCH; i++)
            first[i].next = i + 1 < FREE_BATCH ? &first[i + 1] : NULL;
        watcher->free_count = FREE_BATCH;
    }
    watcher->free = first;
    return first;
}

static struct handoff *handoff_new(struct watcher *watcher)
{
    struct handoff *handoff = watcher->free;

    if (unlikely(!handoff) && !(handoff = handoffs_more(watcher))) {
        __atomic_fetch_add(&store_trace->handoffs_lost, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    watcher->free = handoff->next;
    watcher->free_count--;
    return handoff;
}

static __attribute__((noinline)) void handoffs_give(struct watcher *watcher)
{
    struct handoff *first = watcher->free, *last = first;

    for (unsigned i = 1; i < FREE_BATCH; i++)
        last = last->next;
    watcher->free = last->next;
    watcher->free_count -= FREE_BATCH;
    lock_take(&free_lock);
    last->next = free_handoffs;
    free_handoffs = first;
    lock_drop(&free_lock);
}

static void handoff_free(struct watcher *watcher, struct handoff *handoff)
{
    handoff->id = 0;
    if (!watcher) {
        lock_take(&free_lock);
        handoff->next = free_handoffs;
        free_handoffs = handoff;
        lock_drop(&free_lock);
        return;
    }
    handoff->next = watcher->free;
    watcher->free = handoff;
    if (unlikely(++watcher->free_count >= FREE_AT_HAND))
        handoffs_give(watcher);
}

static bool is_ours(const struct handoff *handoff)
{
    return handoff && store_handoffs &&
           (uintptr_t)handoff - (uintptr_t)store_handoffs < LIVE_HANDOFFS * sizeof *handoff &&
           handoff->id;
}

static struct context *give_context(struct handoff *handoff, struct context *context)
{
    struct context *own;

    handoff->shared = context;
    if (context->flags & CONTEXT_ONCE) {
        observer_tag(context, handoff);
        return context;
    }
    own = observer_copy_at(copies + (size_t)(handoff - store_handoffs) * copy_size);
    observer_fill(own, context, handoff);
    return own;
}

/* Of a parent's handoff a forked child knows nothing. */
static const struct handoff *parent_of(const struct thread *thread)
{
    const struct handoff *parent = thread_is_attached(thread) ? observer_handoff(thread->attached)
                                                              : NULL;

    return is_ours(parent) ? parent : NULL;
}

/* ---- what the observer is told ---- */

static void write_submit(struct watcher *watcher, const struct handoff *handoff,
                         const struct handoff *parent, const struct context *context)
{
    static unsigned values_max;
    uint64_t *record;
    unsigned words;

    if (unlikely(!values_max))
        values_max = 1 + ring_values_max();
    record = ring_reserve(watcher, 4 + values_max);
    if (!record)
        return;
    words = 4 + ring_values(context, record + 4, values_max);
    record[0] = TRACE_WORD(TRACE_SUBMIT, words, handoff->hook, handoff->node);
    record[1] = handoff->submitted;
    record[2] = handoff->id;
    record[3] = (parent ? parent->id : 0) | (uint64_t)handoff->family << TRACE_FAMILY_SHIFT;
    ring_commit(watcher, words);
}

static struct context *capture(struct thread *thread, struct context *context, unsigned family)
{
    struct watcher *watcher = watch(thread);
    const struct handoff *parent = parent_of(thread);
    struct handoff *handoff;
    bool is_hook;

    if (unlikely(!watcher || !(handoff = handoff_new(watcher))))
        return context;
    is_hook = hooks_family(hook_call.id) == family && hook_call.site;
    handoff->submitted = now_ticks();
    handoff->family = (uint8_t)family;
    handoff->hook = (uint16_t)(is_hook ? hook_call.id + 1 : 0);
    handoff->runs = 0;
    handoff->tid = watcher->tid;
    handoff->node = store_node(parent ? parent->node : 0, is_hook ? stacks_here(watcher) : 0);
    handoff->id = ++watcher->last_id;
    context = give_context(handoff, context);
    watcher->live->submitted[family]++;
    if (ring_is_on)
        write_submit(watcher, handoff, parent, context);
    PROBE_3("submit", handoff->id, family, handoff->node);
    return context;
}

static void start(struct thread *thread, const struct context *context)
{
    struct watcher *watcher = watch(thread);
    struct handoff *handoff = observer_handoff(context);
    struct live_thread *live;
    uint64_t now;

    if (!watcher || !is_ours(handoff))
        return;
    now = now_ticks();
    live = watcher->live;
    if (!handoff->runs) {
        uint64_t queued = now - handoff->submitted;

        live->started[handoff->family]++;
        live->queue[handoff->family][live_bucket(queued)]++;
        if (queued > live->queue_max[handoff->family])
            live->queue_max[handoff->family] = queued;
    }
    if (live->depth < LIVE_NEST)
        live->runs[live->depth] = (struct live_run){handoff->id, now, handoff, handoff->node, 0};
    __atomic_store_n(&live->depth, live->depth + 1, __ATOMIC_RELEASE);
    ring_write(watcher, TRACE_WORD(TRACE_START, 3, handoff->runs, 0), now, handoff->id);
    handoff->runs++;
    PROBE_3("start", handoff->id, handoff->family, handoff->node);
}

static void end(struct thread *thread, const struct context *context, enum observed_end how)
{
    struct watcher *watcher = watch(thread);
    struct handoff *handoff = observer_handoff(context);

    if (!watcher || !is_ours(handoff))
        return;
    if (watcher->live->depth)
        __atomic_store_n(&watcher->live->depth, watcher->live->depth - 1, __ATOMIC_RELEASE);
    ring_write(watcher, TRACE_WORD(TRACE_END, 3, how, 0), now_ticks(), handoff->id);
    PROBE_3("end", handoff->id, handoff->family, how);
}

static void gone(struct context *context)
{
    struct thread *thread = thread_self;
    struct watcher *watcher = thread == &thread_unknown ? NULL : watch(thread);
    struct handoff *handoff = observer_handoff(context);
    struct context *shared = context->flags & CONTEXT_WATCHED ? context->base : NULL;

    if (is_ours(handoff)) {
        if (watcher) {
            watcher->live->finished[handoff->family]++;
            if (!handoff->runs) {
                watcher->live->dropped[handoff->family]++;
                ring_write(watcher, TRACE_WORD(TRACE_DROP, 3, 0, 0), now_ticks(), handoff->id);
            }
        }
        if (!handoff->runs)
            PROBE_3("drop", handoff->id, handoff->family, handoff->node);
        handoff_free(watcher, handoff);
    }
    if (shared)
        context_release_on(thread, shared);
}

static struct context *succeed(const struct context *context, struct context *next)
{
    struct watcher *watcher = watch(thread_self);
    const struct handoff *before = observer_handoff(context);
    struct handoff *handoff;

    if (!watcher || !is_ours(before) || next->flags & (CONTEXT_WATCHED | CONTEXT_TAGGED) ||
        !(handoff = handoff_new(watcher)))
        return next;
    handoff->id = before->id;
    handoff->submitted = before->submitted;
    handoff->family = before->family;
    handoff->hook = before->hook;
    handoff->node = before->node;
    handoff->runs = before->runs;
    handoff->tid = before->tid;
    watcher->live->submitted[handoff->family]++;
    return give_context(handoff, next);
}

static const struct observer watching = {
    .capture = capture,
    .start = start,
    .end = end,
    .free = gone,
    .succeed = succeed,
};

/* ---- from start to exit ---- */

bool watch_is_wanted(const struct config *config)
{
    return config->trace || config->stacks || config->live || config->probes || config->latency;
}

void watch_start(const struct config *config)
{
    wishes = (struct config_wishes){config->trace, config->trace_size, config->live};
    ring_plan(config);
    copy_size = observer_copy_size();
    if (open_all())
        observer_set(&watching);
}

void watch_stop(void)
{
    store_close();
}

void watch_each_thread(void (*visit)(const struct live_thread *live, void *arg), void *arg)
{
    uint32_t count = store_live ? atomic_load(&store_live->threads_used) : 0;

    for (uint32_t i = 0; i < count && i < LIVE_THREADS; i++)
        visit((const struct live_thread *)(void *)((char *)store_live + store_live->threads_at +
                                                   (size_t)i * LIVE_THREAD_SIZE),
              arg);
}

uint64_t watch_ns(uint64_t ticks)
{
    static struct trace_anchor now; /* one for all, so that what is longer stays longer */
    uint64_t passed;

    if (!now.ticks)
        now = store_anchor();
    passed = now.ticks - store_live->first_ticks;
    if (!store_has_ticks || !passed)
        return ticks;
    return (uint64_t)((unsigned __int128)ticks * (now.ns - store_live->first_ns) / passed);
}

void watch_fork_lock(void)
{
    store_fork_lock();
    lock_take_for_fork(&free_lock);
}

/* What is mapped is the parent's, and so are the handoffs in flight: they end unseen in the child. */
void watch_fork_unlock(bool is_child)
{
    if (is_child && observer) {
        store_forget();
        free_handoffs = NULL;
        atomic_fetch_add(&generation, 1);
    }
    lock_drop_after_fork(&free_lock);
    store_fork_unlock();
}
