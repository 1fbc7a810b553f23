/*
 * Between watch.c, which can do everything, watch_quick.c, which does what is most often needed, and
 * watch_handoffs.c, which has the blocks that nobody has.
 */
#ifndef BATON_OBSERVE_WATCH_PARTS_H
#define BATON_OBSERVE_WATCH_PARTS_H

#include "base/arch.h"
#include "context/observer.h"
#include "observe/ring.h"
#include "observe/watch.h"

/* Opens what the settings ask for. False: nothing can be watched. */
bool watch_open(const struct config *config);
/* Only a trace is wanted, of values of one word each, few of them. */
bool watch_is_for_trace_only(void);
extern const struct observer watch_everything;

struct context *watch_capture(struct thread *thread, struct context *context, unsigned family);
void watch_run_start(struct thread *thread, const struct context *context);
void watch_run_end(struct thread *thread, const struct context *context, enum observed_end how);
void watch_finish(struct thread *thread, struct context *context);
void watch_gone(struct context *context);
struct context *watch_succeed(const struct context *context, struct context *next);

static inline uint64_t watch_ticks(void)
{
    return likely(store_has_ticks) ? arch_ticks() : store_ticks_slow();
}

/* Of a parent's handoff a forked child knows nothing. */
static inline __attribute__((always_inline)) bool watch_is_ours(const struct handoff *handoff)
{
    return likely(handoff != NULL) &&
           (uintptr_t)handoff - (uintptr_t)store_handoffs < LIVE_HANDOFFS * sizeof *handoff &&
           handoff->id;
}

static inline __attribute__((always_inline)) struct watched_place *
watch_place(struct watcher *watcher, const void *site)
{
    return &watcher->places[((uintptr_t)site >> 2 ^ (uintptr_t)site >> 6) % WATCH_SITES];
}

/* Handoffs that a thread has at hand: up to two batches, each of so many. */
enum { WATCH_BATCH = 128 };
/* A batch in watcher->free, and its first; NULL: there is no room. */
struct handoff *watch_more_handoffs(struct watcher *watcher);
void watch_give_handoffs(struct watcher *watcher);
/* Of a thread that has no watcher. */
void watch_free_unwatched(struct handoff *handoff);
/* Room for the copies of contexts; before the first handoff, in a forked child again. */
bool watch_make_copies(void);
void watch_handoffs_fork_lock(void);
void watch_handoffs_fork_unlock(bool is_child);

static inline __attribute__((always_inline)) struct handoff *
watch_new_handoff(struct watcher *watcher)
{
    struct handoff *handoff = watcher->free;

    if (unlikely(!handoff) && !(handoff = watch_more_handoffs(watcher))) {
        __atomic_fetch_add(&store_trace->handoffs_lost, 1, __ATOMIC_RELAXED);
        return NULL;
    }
    watcher->free = handoff->next;
    watcher->free_count--;
    return handoff;
}

static inline __attribute__((always_inline)) void watch_free_handoff(struct watcher *watcher,
                                                                     struct handoff *handoff)
{
    handoff->id = 0;
    handoff->next = watcher->free;
    watcher->free = handoff;
    if (unlikely(++watcher->free_count >= WATCH_BATCH))
        watch_give_handoffs(watcher);
}

#endif
