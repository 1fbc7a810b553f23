/*
 * kind=call,repeat: the registrations, which stay for ever (repeat.c), and what is quick about them (repeat_gpr.c).
 *
 * A run *borrows* the context of its registration: it has no reference of its own, and as long as no other run has
 * replaced that context meanwhile it needs none. One borrows at a time; the others take references. Who replaces the
 * context that is borrowed leaves the reference to it to the run that has borrowed it.
 */
#ifndef BATON_USERHOOKS_REPEAT_H
#define BATON_USERHOOKS_REPEAT_H

#include "base/lock.h"
#include "userhooks/core.h"

struct named_repeat {
    _Atomic(void *) function; /* NULL: nobody has it yet */
    void *data;
    /* under lock_of (repeat): */
    struct context *context;  /* a reference */
    struct context *borrowed; /* by a run that is under way; NULL: by none */
    bool is_left;             /* the reference to `borrowed` is that run's now */
};

/* Registrations are made many at a time, so that most are had without the allocator. */
enum { REPEATS_AT_ONCE = 64 };
struct repeats {
    atomic_uint used; /* may be more than there are */
    struct named_repeat items[REPEATS_AT_ONCE];
};
extern _Atomic(struct repeats *) repeats_open; /* NULL: there are none yet */

/* What wrap.ours says of a run. */
enum { RUN_HAS_REFERENCE, RUN_BORROWS, RUN_OWES /* a reference, and is left but for that */ };

/* One of the open ones, which takes the context over; NULL: there is none. */
struct named_repeat *repeat_take(void *function, void *data, struct context *context);
/* Around a run. NULL: nothing done. False: it is to be left by named_repeat_leave, which may find that it owes. */
void *repeat_run_quickly(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk);
bool repeat_leave_quickly(struct named_repeat *registration, struct wrap *wrap);

#endif
