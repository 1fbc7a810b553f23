/*
 * kind=call,repeat: a callback that runs again and again for one registration (rule A9). It runs in
 * the context of its registration; what it sets is there at its next run. Nobody tells us when a
 * registration ends, so its record stays; past REPEATS_MAX of them callbacks run bare.
 *
 * Called with the vector state saved. The same callback may run in two threads at once: each attach
 * holds a reference of its own.
 */
#include "base/mem.h"
#include "context/private.h"
#include "context/thread.h"
#include "hooks/core.h"

bool named_periodic = true;

enum { REPEATS_MAX = 65536 };
static _Atomic unsigned repeats;

struct named_repeat *named_repeat_new(void *function, void *data, struct context *context)
{
    struct named_repeat *repeat;

    if (atomic_load_explicit(&repeats, memory_order_relaxed) >= REPEATS_MAX)
        return NULL;
    repeat = mem_alloc(sizeof *repeat);
    if (!repeat)
        return NULL;
    atomic_fetch_add_explicit(&repeats, 1, memory_order_relaxed);
    repeat->function = function;
    repeat->data = data;
    repeat->context = context;
    if (thread_enter())
        thread_self->records_made++;
    return repeat;
}

/* BATON_PERIODIC=off: it runs with the thread's own values, and what it sets is put back. */
static struct context *starting_context(struct named_repeat *repeat)
{
    struct context *context;

    if (!named_periodic)
        return thread_enter() ? context_visible(thread_self) : NULL;
    lock_take(lock_of(repeat));
    context = context_ref(repeat->context);
    lock_drop(lock_of(repeat));
    return context;
}

void named_repeat_enter(struct named_repeat *repeat, struct wrap *wrap)
{
    struct context *context = starting_context(repeat);

    if (context && !scope_enter_slow(context, wrap_place(wrap) | MARK_KEEP)) {
        context_release(context);
        context = NULL;
    }
    wrap->context = context;
}

void named_repeat_leave(struct named_repeat *repeat, struct wrap *wrap)
{
    struct context *next;

    if (!wrap->context)
        return;
    next = scope_leave_keep(thread_self, wrap_place(wrap), wrap->context);
    if (named_periodic) {
        struct context *last;

        lock_take(lock_of(repeat));
        last = repeat->context;
        repeat->context = next;
        lock_drop(lock_of(repeat));
        next = last;
    }
    context_release(next);
}
