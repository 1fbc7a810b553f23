/*
 * Attaching and detaching around a call of foreign code: what every trampoline is made of.
 *
 * A trampoline is `static GUARDED`, begins with GUARDED_FRAME(), and calls through one of the SCOPE_RUN
 * macros: in line where thread_is_plain, else through scope_enter_slow and scope_leave_slow (scope.c).
 * The doors are SCOPE_RUN (around a call), SCOPE_RUN_KEEP (one that keeps what the callback set) and scope_adopt (for
 * longer than a call). The functions are what they are made of; by name they are called by those who have no frame of
 * their own around the call: the trampolines of the user's functions, ompt.c, posix/keys.c, and api.c.
 * However the call ends, what was there before is put back: at return here, when it is unwound by
 * unwind.c, after a longjmp at the thread's next handoff (scope_drop_stale).
 */
#ifndef BATON_CONTEXT_SCOPE_H
#define BATON_CONTEXT_SCOPE_H

#include "context/context.h"

/* Makes `context` the calling thread's; sp is arch_sp() of the guarded frame, flags FRAME_*.
 * False: could not (no memory); nothing has changed, an OWNED reference stays the caller's. */
bool scope_enter_slow(struct context *context, uintptr_t frame_mark);
/* The depth of the innermost attach's scope entry, for scope_leave_entry; after scope_enter_slow. */
uint32_t scope_top_entry(const struct thread *thread);
/* Leaves the attach that was made with `mark` at that depth and all above it; false: it is left already. */
bool scope_leave_entry(struct thread *thread, uint32_t depth, uintptr_t frame_mark);
/* Leaves every attach at or below (deeper than) stack address `sp`. */
void scope_leave_slow(struct thread *thread, uintptr_t sp);
void scope_leave_here(uintptr_t sp); /* of the calling thread, whichever that is by now */
/* Frames that returned and whose attach was left before: their stacks are switched by code that is not seen. */
extern _Atomic uint32_t scope_frames_lost;
/* As above for a frame that is being unwound, from its stack pointer at its call (unwind.c). True: the
 * thread's own attach was among them, the thread ends. */
bool scope_leave_unwound(struct thread *thread, uintptr_t sp);
/* Attaches for longer than the calling function runs; the innermost scope now open bounds it. Takes
 * over the reference. False: could not, nothing has changed. */
bool scope_adopt(struct context *context);
/* Leaves what scope_adopt attached, if it is the innermost. */
void scope_leave_adopted(struct thread *thread);
/* Leaves attaches whose frames longjmp has jumped over, as seen from stack address `sp`. */
void scope_drop_stale(struct thread *thread, uintptr_t sp);
/* As scope_leave_slow for a KEEP scope: gives the context that the next run starts from, in
 * exchange for the reference to `context`. */
struct context *scope_leave_keep(struct thread *thread, uintptr_t sp, struct context *context);

/* The thread jumps from stack address `from` up to `to`, maybe out of a getter or setter that is under way. */
void scope_jumps_out(struct thread *thread, uintptr_t from, uintptr_t to);

/* Is there an attach of a repeating callback with that context (NULL: with any) above the frame at `sp`? */
bool scope_keeps(struct thread *thread, const struct context *context, uintptr_t sp);
/*
 * For a frame that SCOPE_RUN_KEEP made and that is being unwound: leaves its attach and all above it. Gives
 * what was attached, whose reference is the holder's as ever; NULL: the frame had no such attach.
 */
struct context *scope_leave_kept(struct thread *thread, uintptr_t sp);

/*
 * Where nothing is attached: the attach is there with its mark, which was stored before, and all that was saved for
 * it. A signal handler that jumps out must not leave it with the mark of an earlier one.
 */
#define SCOPE_ATTACH(thread, context)              \
    do {                                           \
        atomic_signal_fence(memory_order_release); \
        (thread)->attached = (context);            \
    } while (0)

static inline __attribute__((always_inline)) bool
scope_try_enter(struct thread *thread, struct context *context, uintptr_t frame_mark)
{
    if (unlikely(!thread_is_plain(thread)))
        return false;
    thread->frame_mark = frame_mark;
    SCOPE_ATTACH(thread, context);
    return true;
}

/* The same of a repeating callback: not where its runs are counted. */
static inline __attribute__((always_inline)) bool
scope_try_keep(struct thread *thread, struct context *context, uintptr_t frame_mark)
{
    if (unlikely(!thread_is_uncounted(thread)))
        return false;
    thread->frame_mark = frame_mark;
    SCOPE_ATTACH(thread, context);
    return true;
}
/* Where that could not be: counts, then as it does, or as scope_enter_slow. */
bool scope_enter_keep(struct context *context, uintptr_t frame_mark);

static inline __attribute__((always_inline)) bool scope_try_leave(struct thread *thread,
                                                                  struct context *context)
{
    if (unlikely(thread->attached != context || thread->frame_mark & FRAME_SLOW))
        return false;
    thread->attached = NULL;
    return true;
}

/* scope_enter_slow for SCOPE_RUN: the thread's block, known from now on unless memory is out. What
 * could not be attached runs bare, an OWNED reference is let go at once. */
struct thread *scope_enter_any(struct context *context, uintptr_t frame_mark);

/*
 * Runs CALL (an expression statement of foreign code) with `context` attached, in a function that
 * starts with GUARDED_FRAME(). OWNED: the reference is let go afterwards, also when CALL does not
 * return. Leaving is as quick as entering if this frame's mark is still the innermost: neither did
 * the task set a key (FRAME_SLOW) nor did a longjmp leave an attach of the task's own behind.
 */
#define SCOPE_RUN(what, flags, CALL)                                  \
    do {                                                              \
        struct thread *thread_ = thread_self;                         \
        struct context *context_ = (what);                            \
                                                                      \
        if (likely(thread_is_plain(thread_))) {                       \
            arch_sp_store(&thread_->frame_mark, flags);               \
            SCOPE_ATTACH(thread_, context_);                          \
        } else {                                                      \
            thread_ = scope_enter_any(context_, arch_sp() + (flags)); \
        }                                                             \
        CALL;                                                         \
        SCOPE_LEAVE(thread_, flags);                                  \
    } while (0)

#define SCOPE_LEAVE(self, flags)                            \
    do {                                                    \
        if (likely(arch_sp_is(&(self)->frame_mark, flags))) \
            SCOPE_LEFT(self, flags);                        \
        else                                                \
            scope_leave_here(arch_sp());                    \
    } while (0)

#define SCOPE_LEFT(self, flags)                   \
    do {                                          \
        struct context *left_ = (self)->attached; \
                                                  \
        (self)->attached = NULL;                  \
        if ((flags)&FRAME_THREAD)                 \
            context_release_now(left_);           \
        else if ((flags)&FRAME_OWNED)             \
            context_release_on(self, left_);      \
    } while (0)

/*
 * SCOPE_RUN for a callback that runs again (rule A9): *holder is the record's reference; what the
 * callback set is in *holder afterwards. The caller keeps the record alive during CALL (a callback
 * may free what it was registered with): hold a reference and store back only if it still lives.
 */
#define SCOPE_RUN_KEEP(holder, CALL)                                                             \
    do {                                                                                         \
        struct context *context_ = *(holder);                                                    \
        struct thread *thread_ = thread_self;                                                    \
        uintptr_t frame_mark_ = arch_sp() | FRAME_KEEP;                                          \
                                                                                                 \
        if (likely(scope_try_keep(thread_, context_, frame_mark_))) {                            \
            CALL;                                                                                \
            if (unlikely(!scope_try_leave(thread_, context_)))                                   \
                *(holder) = scope_leave_keep(thread_self, frame_mark_ & ~(uintptr_t)FRAME_FLAGS, \
                                             context_);                                          \
        } else {                                                                                 \
            bool entered_ = scope_enter_keep(context_, frame_mark_);                             \
                                                                                                 \
            CALL;                                                                                \
            if (entered_)                                                                        \
                *(holder) = scope_leave_keep(thread_self, frame_mark_ & ~(uintptr_t)FRAME_FLAGS, \
                                             context_);                                          \
        }                                                                                        \
    } while (0)

#endif
