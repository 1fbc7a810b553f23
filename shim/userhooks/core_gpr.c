/*
 * What happens in a thunk: handing over in front of the real function, running around it.
 *
 * Compiled without vector registers (Makefile), so a thunk that saves nine registers has saved all.
 * Every function here is called up to twice for one call of the program: first with is_slow false,
 * when it may call nothing outside of the *_gpr.c files and must answer "not done" before it
 * has changed anything; then, if it answered that, with is_slow true, the vector state saved and errno kept.
 */
#include "userhooks/core.h"

#include "userhooks/function.h"
#include "userhooks/kinds.h"
#include "userhooks/repeat.h"
#include "userhooks/tally.h"
#include "slots/origin.h"

_Static_assert(sizeof(struct wrap) <= WRAP_SIZE, "thunks_ARCH.S makes room for it");
_Static_assert(sizeof(struct thunk) == 56 && offsetof(struct thunk, role) == 24,
               "as thunks_ARCH.S has it");

static void *enter_function(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap,
                            bool is_slow)
{
    void *original = atomic_load_explicit(&thunk->original, memory_order_acquire);
    struct named_hook *hook;
    bool is_done = true;

    if (!original) {
        if (!is_slow)
            return NULL;
        original = named_original((unsigned)(thunk - thunks), frame->caller);
    }
    hook = thunk->hook;
    if (wrap)
        wrap->stack_words = hook ? hook->spec.stack : WRAP_JUMP;
    if (!hook)
        return original;
    if (unlikely(tally_keeps_last))
        tally_keep_last(hook, is_slow);
    switch (hook->spec.kind) {
    case NAMED_CALL:
        is_done = kinds_submit_call(hook, frame, wrap, is_slow);
        if (!is_done && is_slow) { /* it is not believed yet */
            probe_submit(thunk, frame, wrap);
            is_done = true;
        }
        break;
    case NAMED_SUBMIT:
    case NAMED_PUT:
        is_done = kinds_submit_object(hook, frame, wrap, is_slow);
        break;
    case NAMED_VIRTUAL:
        is_done = kinds_submit_virtual(hook, frame, wrap, is_slow);
        break;
    case NAMED_RELAY:
        is_done = kinds_relay(hook, frame, is_slow);
        break;
    case NAMED_FIELD:
        is_done = kinds_submit_field(hook, frame, is_slow);
        break;
    case NAMED_STDFUNCTION:
        is_done = is_slow;
        if (is_slow)
            function_submit(thunk, (struct std_function *)*frame_argument(frame, hook->spec.obj));
        break;
    case NAMED_RUN:
        is_done = !wrap || kinds_run_object(hook, frame, wrap, is_slow);
        break;
    case NAMED_GET:
        is_done = kinds_let_go(is_slow);
        if (wrap && hook->spec.obj)
            wrap->theirs[0] = *frame_argument(frame, hook->spec.obj);
        if (wrap && hook->spec.queue)
            wrap->theirs[1] = *frame_argument(frame, hook->spec.queue);
        break;
    case NAMED_DROP:
    case NAMED_REF:
        is_done = kinds_drop(hook, frame, wrap, is_slow);
        break;
    case NAMED_SET: /* a thread that has handed nothing over owns nothing */
        is_done = is_slow || thread_self == &thread_unknown;
        if (thread_self != &thread_unknown && is_slow)
            origin_set(thread_self, hook->spec.slot);
        break;
    }
    if (!is_done)
        return NULL;
    if (unlikely(is_slow && !tally_at(thread_self)))
        tally_begin(thread_self);
    tally_fired(hook);
    return original;
}

void *core_enter(struct thunk_frame *frame, struct thunk *thunk, bool is_slow)
{
    return enter_function(thunk, frame, NULL, is_slow);
}

void *core_wrap_enter(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk,
                      bool is_slow)
{
    wrap->thunk = thunk;
    wrap->context = NULL;
    wrap->node = NULL;
    wrap->ours[0] = wrap->theirs[0] = wrap->theirs[1] = 0;
    wrap->stack_words = thunk->hook ? thunk->hook->spec.callback_stack : WRAP_JUMP;
    switch ((enum thunk_role)thunk->role) {
    case THUNK_FUNCTION:
        return enter_function(thunk, frame, wrap, is_slow);
    case THUNK_CALL:
        return kinds_run_call(thunk->hook, frame, wrap, is_slow);
    case THUNK_REPEAT:
        return kinds_run_repeat(thunk->hook, frame, wrap, is_slow);
    case THUNK_PROBE:
    case THUNK_TRIED:
        return is_slow ? probe_run(thunk, frame, wrap) : NULL;
    case THUNK_FIELD:
        return kinds_run_field(thunk, frame, wrap, is_slow);
    case THUNK_VIRTUAL:
        return kinds_run_virtual(thunk, frame, wrap, is_slow);
    case THUNK_STDFUNCTION:
        return kinds_run_function(thunk->hook, frame, wrap, is_slow);
    }
    return NULL;
}

static bool leave_function(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                           bool is_slow)
{
    switch (hook->spec.kind) {
    case NAMED_CALL:
        kinds_put_back_arguments(hook, frame, wrap);
        return true;
    case NAMED_GET:
        return kinds_adopt(hook, frame, wrap, is_slow);
    case NAMED_PUT:
    case NAMED_SUBMIT:
    case NAMED_VIRTUAL:
        return kinds_submit_done(hook, frame, wrap, is_slow);
    case NAMED_DROP:
        return kinds_drop_done(hook, frame, wrap, is_slow);
    default:
        return kinds_leave(wrap, is_slow);
    }
}

bool core_wrap_leave(struct thunk_frame *frame, struct wrap *wrap, bool is_slow)
{
    struct thunk *thunk = wrap->thunk;

    if (wrap->node) {
        if (!is_slow)
            return repeat_leave_quickly(wrap->node, wrap);
        named_repeat_leave(wrap->node, wrap);
        return true;
    }
    return thunk->role == THUNK_FUNCTION ? leave_function(thunk->hook, frame, wrap, is_slow)
                                         : kinds_leave(wrap, is_slow);
}
