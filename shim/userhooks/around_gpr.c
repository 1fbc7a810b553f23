/*
 * Attaching and detaching around a task that a thunk calls: the quick ways, else scope.c's.
 *
 * The rules of core_gpr.c hold. kinds_enter is asked with is_slow false only where
 * kinds_enter_is_fast has said yes.
 */
#include "userhooks/kinds_words.h"

void kinds_enter(struct wrap *wrap, struct context *context)
{
    uintptr_t frame_mark = wrap_place(wrap) | FRAME_OWNED;
    struct thread *thread = thread_self;

    if (scope_try_enter(thread, context, frame_mark)) {
        wrap->context = context;
    } else if (scope_may_nest(thread, frame_mark)) {
        scope_nest(thread, context, frame_mark);
        wrap->context = context;
    } else if (nest_words(thread, context, frame_mark)) {
        wrap->context = context;
    } else if (scope_enter_slow(context, frame_mark)) {
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
    if (thread->attached == context && thread->frame_mark == (wrap_place(wrap) | FRAME_OWNED) &&
        thread->depth == 0 && guard_is_clear() && kinds_release_is_fast(thread, context)) {
        thread->attached = NULL;
        thread->deferred.releases--;
        return true;
    }
    if (thread->attached == context &&
        thread->frame_mark == (wrap_place(wrap) | FRAME_OWNED | FRAME_SLOW) &&
        scope_is_nested(thread) && kinds_release_is_fast(thread, context)) {
        scope_unnest(thread);
        thread->deferred.releases--;
        return true;
    }
    if (thread->attached == context && kinds_release_is_fast(thread, context) &&
        unnest_words(thread, context, wrap_place(wrap) | FRAME_OWNED)) {
        thread->deferred.releases--;
        return true;
    }
    if (!is_slow)
        return false;
    scope_leave_slow(thread, wrap_place(wrap));
    return true;
}
