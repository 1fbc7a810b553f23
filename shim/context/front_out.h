/*
 * Attaching and leaving as front.h does, where all that is copied is what a pair of functions of the program's gets and
 * sets: foreign code, which may hand over, attach inside of this, throw, jump, or end the thread, as in moving.c. In line
 * in scope_any.c, in frames whose personality is baton_move_personality, and in trampolines (SCOPE_RUN_PAIR).
 *
 * Rules: as moving.c has them. Where the value is put back the attach is left already, and its reference is
 * thread.entered: a setter that leaves is not called again. errno is kept.
 */
#ifndef BATON_CONTEXT_FRONT_OUT_H
#define BATON_CONTEXT_FRONT_OUT_H

#include "base/errno_at.h"
#include "context/front.h"

/*
 * Attaches *holder, which is looked for again after the getter. `mark` is how it is known, with FRAME_SLOW where SCOPE_LEAVE
 * would not; 0: by the frame that this is in, and `flags`. False: nothing is attached, and thread.moving says so where the
 * getter has left attaches behind (it adopts).
 */
static inline __attribute__((always_inline)) bool
front_out_enter(struct thread *thread, struct context **holder, uintptr_t mark, unsigned flags)
{
    struct context *context;
    int saved_errno;

    if (unlikely(!front_is_free(thread) || (thread->moving | (flags & FRAME_THREAD)) != 0 ||
                 !slot_pair_is_right((*holder)->epoch) ||
                 thread->saved_used + SAVED_ENTRIES * slots_saved_bytes > thread->saved_max))
        return false;
    saved_errno = errno_get();
    thread->moving_from = thread->saved_used;
    thread->saved_used += slots_saved_bytes; /* what is attached inside is above (drop_moving) */
    if (flags & FRAME_OWNED)
        thread->entered = *holder;
    thread->moving = arch_sp();
    *slot_word_at(thread) = slots_pair.call.get();
    if (flags & FRAME_OWNED)
        thread->entered = NULL; /* from here on the attach has it */
    if (likely(!thread->attached)) {
        thread->saved_used = thread->moving_from;
        if (mark)
            thread->frame_mark = mark;
        else
            arch_sp_store(&thread->frame_mark, flags);
        context = *holder;
        SCOPE_ATTACH(thread, context);
        if (*slot_word_at(context) != *slot_word_at(thread))
            slots_pair.call.set(*slot_word_at(context));
        thread->moving = 0;
    }
    errno_set(saved_errno);
    return likely(!thread->moving);
}

/* It adopts: once more, without that. */
void front_out_again(struct thread *thread);

/* Of an attach that front_out_enter made, which is innermost, with nothing set. The reference that it has goes. */
static inline __attribute__((always_inline)) void front_out_leave(struct thread *thread,
                                                                  bool is_owned)
{
    struct context *context = thread->attached;
    int saved_errno = errno_get();

    thread->attached = NULL;
    thread->moving_from = thread->saved_used;
    if (is_owned)
        thread->entered = context;
    thread->moving = arch_sp();
    if (*slot_word_at(thread) != *slot_word_at(context) ||
        slots_pair.call.get() != *slot_word_at(thread))
        slots_pair.call.set(*slot_word_at(thread));
    if (unlikely(thread->attached != NULL))
        front_out_again(thread);
    thread->moving = 0;
    errno_set(saved_errno);
    if (is_owned && likely((context = thread->entered) != NULL)) {
        thread->entered = NULL;
        context_release_on(thread, context);
    }
}

/* May it be left so? */
static inline __attribute__((always_inline)) bool front_out_may_leave(const struct thread *thread,
                                                                      uintptr_t sp)
{
    return front_is_at(thread, sp) && !thread->moving &&
           slot_pair_is_right(thread->attached->epoch);
}

/* Where front_out_enter could not, in the frame that has asked. As scope_enter_any. */
struct thread *front_out_enter_any(struct context *context, uintptr_t frame_mark);

/*
 * SCOPE_RUN in such a process, in a function that starts with GUARDED_FRAME_BY(baton_pair_personality).
 */
#define SCOPE_RUN_PAIR(self, holder, flags, CALL)                                          \
    do {                                                                                   \
        struct thread *pair_thread_ = (self);                                              \
                                                                                           \
        if (unlikely(!front_out_enter(pair_thread_, (holder), 0, flags)))                  \
            pair_thread_ = front_out_enter_any(*(holder), arch_sp() + (flags));            \
        CALL;                                                                              \
        if (likely(arch_sp_is(&pair_thread_->frame_mark, flags) && !pair_thread_->moving)) \
            front_out_leave(pair_thread_, (flags)&FRAME_OWNED);                            \
        else                                                                               \
            scope_leave_here(arch_sp());                                                   \
    } while (0)

#endif
