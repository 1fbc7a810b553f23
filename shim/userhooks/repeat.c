/*
 * kind=call,repeat: a callback that runs again and again for one registration (rule A9). It runs in
 * the context of its registration; what it sets is there at its next run. Nobody tells us when a
 * registration ends, so its record stays; past REPEATS_MAX of them callbacks run bare.
 *
 * Called with the vector state saved, where repeat_gpr.c does not know how. The same callback may run in two threads at
 * once: the attach of one borrows the registration's context, any other holds a reference of its own.
 */
#include "userhooks/repeat.h"

#include "base/mem.h"
#include "context/internal.h"
#include "context/thread.h"

enum { REPEATS_MAX = 65536 };
static _Atomic(struct repeats *) all[REPEATS_MAX / REPEATS_AT_ONCE];
static atomic_uint all_used; /* may be more than there are */

bool named_repeat_is_at(const void *place)
{
    for (unsigned i = 0; i < REPEATS_MAX / REPEATS_AT_ONCE; i++) {
        struct repeats *one = atomic_load_explicit(&all[i], memory_order_acquire);
        uintptr_t at = one ? (uintptr_t)place - (uintptr_t)one->items : UINTPTR_MAX;

        if (at < sizeof one->items)
            return at % sizeof one->items[0] == 0 &&
                   atomic_load_explicit(&one->items[at / sizeof one->items[0]].function,
                                        memory_order_acquire);
        if (!one && i >= atomic_load_explicit(&all_used, memory_order_relaxed))
            break;
    }
    return false;
}

/* More of them. What is left of those that another thread has opened meanwhile stays unused. */
static bool open_more(void)
{
    struct repeats *open = atomic_load_explicit(&all_used, memory_order_relaxed) <
                                   REPEATS_MAX / REPEATS_AT_ONCE
                               ? mem_alloc(sizeof *open)
                               : NULL;
    unsigned number;

    if (!open)
        return false;
    number = atomic_fetch_add_explicit(&all_used, 1, memory_order_relaxed);
    if (number >= REPEATS_MAX / REPEATS_AT_ONCE) {
        mem_free(open, sizeof *open);
        return false;
    }
    atomic_store_explicit(&all[number], open, memory_order_release);
    atomic_store_explicit(&repeats_open, open, memory_order_release);
    return true;
}

struct named_repeat *named_repeat_new(void *function, void *data, struct context *context)
{
    struct named_repeat *registration = NULL;

    if (!thread_enter())
        return NULL;
    do
        registration = repeat_take(function, data, context);
    while (!registration && open_more());
    return registration;
}

/* BATON_PERIODIC=off: it runs with the thread's own values, and what it sets is put back. */
static struct context *starting_context(struct named_repeat *registration)
{
    struct context *context;

    if (!named_periodic)
        return thread_enter() ? context_visible(thread_self) : NULL;
    lock_take(lock_of(registration));
    context = context_ref(registration->context);
    lock_drop(lock_of(registration));
    return context;
}

void named_repeat_enter(struct named_repeat *registration, struct wrap *wrap)
{
    struct context *context = starting_context(registration);

    if (context && !scope_enter_slow(context, wrap_place(wrap) | FRAME_KEEP)) {
        context_release(context);
        context = NULL;
    }
    if (context && slot_counts_on)
        slot_counts_ran(thread_self, context);
    wrap->context = context;
}

/* A run that has borrowed has a reference of its own from now on. */
static void stop_borrowing(struct named_repeat *registration, struct wrap *wrap)
{
    lock_take(lock_of(registration));
    if (!registration->is_left)
        context_ref(wrap->context);
    registration->is_left = false;
    registration->borrowed = NULL;
    lock_drop(lock_of(registration));
    wrap->ours[0] = RUN_HAS_REFERENCE;
}

/* A run inside of a run keeps nothing. Where the outer one has not borrowed, it replaces what this one keeps. */
static bool is_inside(struct named_repeat *registration, const struct wrap *wrap)
{
    const struct context *borrowed;

    lock_take(lock_of(registration));
    borrowed = registration->borrowed;
    lock_drop(lock_of(registration));
    return borrowed && scope_keeps(thread_self, borrowed, wrap_place(wrap));
}

void named_repeat_leave(struct named_repeat *registration, struct wrap *wrap)
{
    struct context *next;

    if (!wrap->context)
        return;
    if (wrap->ours[0] == RUN_OWES) {
        context_release(wrap->context);
        return;
    }
    if (wrap->ours[0] == RUN_BORROWS)
        stop_borrowing(registration, wrap);
    next = scope_leave_keep(thread_self, wrap_place(wrap), wrap->context);
    if (named_periodic && !is_inside(registration, wrap)) {
        struct context *last;

        lock_take(lock_of(registration));
        last = registration->context;
        registration->context = next;
        if (registration->borrowed == last && !registration->is_left) {
            registration->is_left = true;
            last = NULL;
        }
        lock_drop(lock_of(registration));
        next = last;
    }
    if (next)
        context_release(next);
}
