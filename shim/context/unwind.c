/*
 * What happens when a guarded frame is unwound: C++ exception, pthread_exit, cancellation, Rust panic.
 *
 * The frame has a personality routine and no landing pad: in the cleanup phase we detach and let the
 * unwinder go on. So nothing of libgcc_s is needed at load time, and a normal return costs nothing.
 * Source of the interface: Itanium C++ ABI, Exception Handling, level I.
 */
#include "context/unwind.h"

#include "context/internal.h"
#include "context/observer.h"
#include "context/scope.h"

personality_routine baton_personality;

struct context *unwind_leave(struct _Unwind_Context *unwinding, const void *unwinder, int actions)
{
    uintptr_t sp = unwind_frame_sp(unwinding, unwinder);
    struct thread *thread = thread_self;
    struct context *kept;
    bool is_over;

    if (thread == &thread_unknown)
        return NULL; /* the stand-in of all threads that were not met yet: nothing was attached */
    thread->ending = actions & UNWIND_FORCED ? ENDED_CANCELLED : ENDED_EXCEPTION;
    kept = sp ? scope_leave_kept(thread, sp) : NULL;
    /* Without it: the innermost attach is this frame's, but for frames that longjmp has left. */
    is_over = scope_leave_unwound(thread, sp ? sp : thread->frame_mark & ~(uintptr_t)FRAME_FLAGS);
    thread->ending = ENDED_RETURN; /* before the block may be another's */
    if (is_over)
        thread_leave(thread);
    return kept;
}

__attribute__((used, visibility("hidden"))) int
baton_personality(int version, int actions, uint64_t exception_class,
                  struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding)
{
    if (actions & UNWIND_CLEANUP_PHASE)
        unwind_leave(unwinding, __builtin_return_address(0), actions);
    return UNWIND_CONTINUE;
}

ARCH_PERSONALITY(baton_personality);

personality_routine baton_pair_personality;

/* Of a frame that attaches by calling a getter and a setter of the program's, too (SCOPE_RUN_PAIR). */
__attribute__((used, visibility("hidden"))) int
baton_pair_personality(int version, int actions, uint64_t exception_class,
                       struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding)
{
    struct thread *thread = thread_self;
    const void *unwinder = __builtin_return_address(0);

    if (actions & UNWIND_CLEANUP_PHASE) {
        if (thread->moving && unwind_frame_sp(unwinding, unwinder) == thread->moving)
            scope_abandon(thread);
        unwind_leave(unwinding, unwinder, actions);
    }
    return UNWIND_CONTINUE;
}

ARCH_PERSONALITY(baton_pair_personality);
