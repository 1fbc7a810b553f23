/*
 * Attaching and detaching around a task that a thunk calls: the quick ways, else scope.c's.
 *
 * The rules of core_gpr.c hold. kinds_enter is asked with is_slow false only where
 * kinds_attach_is_fast has said yes.
 */
#include "hooks/kinds.h"

void kinds_enter(struct wrap *wrap, struct context *context)
{
    uintptr_t mark = wrap_place(wrap) | MARK_OWNED;
    struct thread *thread = thread_self;

    if (scope_try_enter(thread, context, mark)) {
        wrap->context = context;
    } else if (scope_may_nest(thread, mark)) {
        scope_nest(thread, context, mark);
        wrap->context = context;
    } else if (scope_enter_slow(context, mark)) {
        wrap->context = context;
    } else {
        context_release(context);
    }
}

bool kinds_leave(struct wrap *wrap, bool is_slow)
{
    struct thread *thread = thread_self;
    struct context *context = wrap->context;

    if (!context)
        return true;
    if (thread->over == context && thread->mark == (wrap_place(wrap) | MARK_OWNED) &&
        thread->depth == 0 && guard_is_clear() && kinds_release_is_fast(thread, context)) {
        thread->over = NULL;
        thread->debt--;
        return true;
    }
    if (thread->over == context && thread->mark == (wrap_place(wrap) | MARK_OWNED | MARK_SLOW) &&
        scope_is_nested(thread) && kinds_release_is_fast(thread, context)) {
        scope_unnest(thread);
        thread->debt--;
        return true;
    }
    if (!is_slow)
        return false;
    scope_leave_slow(thread, wrap_place(wrap));
    return true;
}
