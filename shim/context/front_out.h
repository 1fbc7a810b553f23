/*
 * Attaching and leaving as front.h does, where all that is copied is what a pair of functions of the program's gets and
 * sets: foreign code, which may hand over, attach inside of this, throw, jump, or end the thread, as in moving.c. In line
 * in scope_any.c, in frames whose personality is baton_move_personality.
 *
 * Rules: as moving.c has them. Where the value is put back the attach is left already, and its reference is
 * thread.entered: a setter that leaves is not called again. errno is kept.
 */
#ifndef BATON_CONTEXT_FRONT_OUT_H
#define BATON_CONTEXT_FRONT_OUT_H

#include <errno.h>

#include "context/front.h"

/* False: nothing is attached, and thread.moving says so where the getter has left attaches behind (it adopts). */
static inline __attribute__((always_inline)) bool
front_out_enter(struct thread *thread, struct context *context, uintptr_t frame_mark)
{
    const struct slot_moves *moves = atomic_load_explicit(&slots_moves_out, memory_order_acquire);
    size_t at = thread->saved_used;
    int saved_errno;

    if (unlikely(!front_is_free(thread) || (thread->moving | (frame_mark & FRAME_THREAD)) != 0 ||
                 !moves->pair.get || !front_is_right(moves, context->epoch) ||
                 at + SAVED_ENTRIES * slots_saved_bytes > thread->saved_max))
        return false;
    saved_errno = errno;
    thread->moving_from = at;
    thread->saved_used = at +
                         slots_saved_bytes; /* what is attached inside is above (drop_moving) */
    if (frame_mark & FRAME_OWNED)
        thread->entered = context;
    thread->moving = arch_sp();
    *slot_word_at(thread) = moves->pair.get();
    thread->entered = NULL; /* from here on the attach has it */
    if (likely(!thread->attached)) {
        thread->saved_used = at;
        front_attach(thread, context, frame_mark);
        if (*slot_word_at(context) != *slot_word_at(thread))
            moves->pair.set(*slot_word_at(context));
        thread->moving = 0;
    }
    errno = saved_errno;
    return likely(!thread->moving);
}

/* False: it is not for this to leave. */
static inline __attribute__((always_inline)) bool front_out_leave(struct thread *thread,
                                                                  uintptr_t sp)
{
    const struct slot_moves *moves = atomic_load_explicit(&slots_moves_out, memory_order_acquire);
    struct context *context = thread->attached;
    uint64_t was;
    int saved_errno;

    if (unlikely(!front_is_at(thread, sp) || thread->moving || !moves->pair.get ||
                 !front_is_right(moves, context->epoch)))
        return false;
    saved_errno = errno;
    thread->attached = NULL;
    thread->moving_from = thread->saved_used;
    if (thread->frame_mark & FRAME_OWNED)
        thread->entered = context;
    thread->moving = arch_sp();
    was = *slot_word_at(thread);
    if (was != *slot_word_at(context) || was != moves->pair.get())
        moves->pair.set(was);
    if (unlikely(thread->attached != NULL)) { /* it adopts: once more, without that */
        scope_leave_above(thread, thread->moving_from);
        moves->pair.set(*slot_word_at(thread));
        scope_leave_above(thread, thread->moving_from);
    }
    thread->moving = 0;
    errno = saved_errno;
    if (likely(thread->entered != NULL)) {
        thread->entered = NULL;
        context_release_on(thread, context);
    }
    return true;
}

#endif
