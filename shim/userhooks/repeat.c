/*
 * kind=call,repeat: a callback that runs again and again for one registration (rule A9). It runs in
 * the context of its registration; what it sets is there at its next run. Nobody tells us when a
 * registration ends, so its record stays; past REPEATS_MAX of them callbacks run bare.
 *
 * Called with the vector state saved. The same callback may run in two threads at once: each attach
 * holds a reference of its own.
 */
#include "base/map.h"
#include "base/mem.h"
#include "context/internal.h"
#include "context/thread.h"
#include "userhooks/core.h"

bool named_periodic = true;

enum { REPEATS_MAX = 65536 };
static _Atomic unsigned registrations;
static struct map known; /* by its address, itself */

bool named_repeat_is_at(const void *place)
{
    return place && map_find(&known, place);
}

struct named_repeat *named_repeat_new(void *function, void *data, struct context *context)
{
    struct named_repeat *registration;

    if (atomic_load_explicit(&registrations, memory_order_relaxed) >= REPEATS_MAX)
        return NULL;
    registration = mem_alloc(sizeof *registration);
    if (!registration)
        return NULL;
    registration->function = function;
    registration->data = data;
    registration->context = context;
    if (!map_put(&known, registration, registration, NULL)) {
        mem_free(registration, sizeof *registration);
        return NULL;
    }
    atomic_fetch_add_explicit(&registrations, 1, memory_order_relaxed);
    if (thread_enter())
        thread_self->records.made++;
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

void named_repeat_leave(struct named_repeat *registration, struct wrap *wrap)
{
    struct context *next;

    if (!wrap->context)
        return;
    next = scope_leave_keep(thread_self, wrap_place(wrap), wrap->context);
    if (named_periodic) {
        struct context *last;

        lock_take(lock_of(registration));
        last = registration->context;
        registration->context = next;
        lock_drop(lock_of(registration));
        next = last;
    }
    context_release(next);
}
