/*
 * Attaching and leaving by the table of moves (slots/moves.h) on a thread that has nothing attached: no scope entry,
 * because what was there before is known; what is replaced goes in front of the thread's block, as with plain words.
 * In line in scope_any.c.
 *
 * Rules: what cannot be done so has changed nothing. All is saved, and the attach is said to be made, before the first
 * value is written: a signal handler may jump out of here. The table's functions are the C library's and our own.
 */
#ifndef BATON_CONTEXT_FRONT_H
#define BATON_CONTEXT_FRONT_H

#include "context/fast.h"
#include "context/internal.h"
#include "slots/moves.h"

/* The table is right for contexts of this epoch, and so are they. */
static inline bool front_is_right(const struct slot_moves *moves, uint32_t epoch)
{
    return atomic_load_explicit(&moves->epoch, memory_order_acquire) == epoch &&
           atomic_load_explicit(&slots_epoch, memory_order_acquire) == epoch;
}

/* The thread has nothing attached, and nothing but copied slots is in the way of the fast paths. */
static inline bool front_is_free(const struct thread *thread)
{
    return thread_is_word_only(thread);
}

static inline bool front_may_enter(const struct thread *thread, const struct context *context,
                                   uintptr_t frame_mark, const struct slot_moves *moves)
{
    return !thread->attached && front_is_right(moves, context->epoch) &&
           guard_allows_short_ways() && !(frame_mark & FRAME_THREAD) && scope_has_front;
}

/* What was there is saved. */
static inline void front_attach(struct thread *thread, struct context *context,
                                uintptr_t frame_mark)
{
    thread->is_read = false;
    thread->frame_mark = frame_mark | FRAME_SLOW; /* SCOPE_LEAVE knows nothing of moves */
    SCOPE_ATTACH(thread, context);
}

/* The innermost attach is the one of the frame at `sp`, made so, and its task has set no key. */
static inline bool front_is_at(const struct thread *thread, uintptr_t sp)
{
    return likely(
        (thread->frame_mark & ~(uintptr_t)FRAME_OWNED) == (sp | FRAME_SLOW) && !thread->depth &&
        thread_is_attached(thread) &&
        !(thread->attached->flags & (CONTEXT_OVERLAY | CONTEXT_WATCHED | CONTEXT_TAGGED)));
}

/* What was there is put back. */
static inline void front_detach(struct thread *thread)
{
    struct context *context = thread->attached;

    thread->attached = NULL;
    if (thread->frame_mark & FRAME_OWNED)
        context_release_on(thread, context);
}

#endif
