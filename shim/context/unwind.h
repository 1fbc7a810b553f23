/* For personality routines of frames that put more in order than what is attached (base/arch.h). */
#ifndef BATON_CONTEXT_UNWIND_H
#define BATON_CONTEXT_UNWIND_H

#include <stdint.h>

struct context;

enum {
    UNWIND_CLEANUP_PHASE = 2, /* actions: only then is something done */
    UNWIND_FORCED = 8,        /* actions: the thread ends (pthread_exit, cancellation) */
    UNWIND_CONTINUE = 8,      /* what a personality answers */
};

struct _Unwind_Exception;
struct _Unwind_Context;

typedef int personality_routine(int version, int actions, uint64_t exception_class,
                                struct _Unwind_Exception *exception,
                                struct _Unwind_Context *unwinding);

/*
 * The frame's stack pointer at its call, 0: not known; and what ARCH_PIN holds in it. unwinder: the
 * personality's return address.
 */
uintptr_t unwind_frame_sp(struct _Unwind_Context *unwinding, const void *unwinder);
void *unwind_pinned(struct _Unwind_Context *unwinding, const void *unwinder);

/*
 * The whole of a personality but for what is its own: in the cleanup phase leaves what the frame has attached.
 * Answers what scope_leave_kept does.
 */
struct context *unwind_leave(struct _Unwind_Context *unwinding, const void *unwinder, int actions);

#endif
