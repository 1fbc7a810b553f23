/*
 * The ways that nearly all calls of kind=call take: handing over a callback that is believed, by a thread that has a
 * reference at hand; running it on a thread where attaching is a matter of two words; leaving it. What is not as
 * they want it goes on to core_gpr.c, which knows every kind.
 *
 * The rules of core_gpr.c hold: what cannot be done here has changed nothing. Nothing is called, so no register but
 * those that the thunks have saved is needed.
 */
#include "userhooks/kinds.h"

#include <errno.h>

#include "families/handoff.h"
#include "userhooks/tally.h"

static inline __attribute__((always_inline)) void *
submit(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk, void *instead)
{
    void *original = atomic_load_explicit(&thunk->original, memory_order_acquire);
    struct named_hook *hook = thunk->hook;
    struct thread *thread = thread_self;
    struct named_tally *counts = tally_at(thread);
    uint64_t *fn = frame_argument(frame, hook->spec.fn),
             *arg = frame_argument(frame, hook->spec.arg);
    struct context *context;
    struct record *record;

    if (unlikely(!original || !counts || !*fn || thunk_is_in_bank((void *)*fn) ||
                 !thread_is_plain(thread) || thread->records.next == thread->records.end))
        return NULL;
    context = context_take_bought(thread, FAMILY_NAMED);
    if (unlikely(!context))
        return NULL;
    record = record_bump(thread);
    record->function = (void *)*fn;
    record->data = (void *)*arg;
    record->context = context;
    if (wrap) {
        wrap->thunk = thunk;
        wrap->context = NULL;
        wrap->node = NULL;
        wrap->stack_words = hook->spec.stack;
        wrap->theirs[0] = *fn;
        wrap->theirs[1] = *arg;
        wrap->ours[0] = (uint64_t)instead;
        wrap->ours[1] = (uint64_t)record;
    }
    *fn = (uint64_t)instead;
    *arg = (uint64_t)record;
    counts += hook->index;
    counts->fired++;
    counts->carried++;
    return original;
}

/* Each of these is of its own, so that who is not concerned has no register saved for it. */
static __attribute__((noinline)) void *enter_call(struct thunk_frame *frame, struct thunk *thunk,
                                                  void *instead)
{
    void *target = submit(frame, NULL, thunk, instead);

    return likely(target != NULL) ? target : core_enter(frame, thunk, false);
}

static __attribute__((noinline)) void *wrap_call(struct thunk_frame *frame, struct wrap *wrap,
                                                 struct thunk *thunk, void *instead)
{
    void *target = submit(frame, wrap, thunk, instead);

    return likely(target != NULL) ? target : core_wrap_enter(frame, wrap, thunk, false);
}

static __attribute__((noinline)) void *wrap_task(struct thunk_frame *frame, struct wrap *wrap,
                                                 struct thunk *thunk)
{
    const struct named_hook *hook = thunk->hook;
    uint64_t *place = frame_argument(frame, hook->spec.cbarg);
    struct record *record = (struct record *)*place;
    uintptr_t frame_mark = wrap_place(wrap) | FRAME_OWNED;
    struct thread *thread = thread_self;
    struct context *context;

    if (unlikely(!record_is_near(thread, record) || !record->context))
        return core_wrap_enter(frame, wrap, thunk, false);
    context = record->context;
    if (!scope_try_enter(thread, context, frame_mark)) {
        if (unlikely(!scope_may_nest(thread, frame_mark)))
            return core_wrap_enter(frame, wrap, thunk, false);
        scope_nest(thread, context, frame_mark);
    }
    wrap->thunk = thunk;
    wrap->context = context;
    wrap->node = NULL;
    wrap->stack_words = hook->spec.callback_stack;
    *place = (uint64_t)record->data;
    record->context = NULL;
    record_free_near(thread);
    return record->function;
}

static inline __attribute__((always_inline)) bool leave_task(const struct wrap *wrap)
{
    struct thread *thread = thread_self;
    struct context *context = wrap->context;
    uintptr_t frame_mark = wrap_place(wrap) | FRAME_OWNED;

    if (unlikely(!context || thread->attached != context || !guard_is_clear() ||
                 !kinds_release_is_fast(thread, context)))
        return false;
    if (thread->frame_mark == frame_mark && !thread->depth)
        thread->attached = NULL;
    else if (thread->frame_mark == (frame_mark | FRAME_SLOW) && scope_is_nested(thread))
        scope_unnest(thread);
    else
        return false;
    thread->deferred.releases--;
    return true;
}

static inline void *instead_of(const struct thunk *thunk)
{
    return atomic_load_explicit(&thunk->instead, memory_order_acquire);
}

/* ---- what the thunks call ---- */

static __attribute__((noinline)) void *enter_slowly(struct thunk_frame *frame)
{
    int saved_errno = errno;
    void *target = core_enter(frame, &thunks[frame->index], true);

    errno = saved_errno;
    return target;
}

void *thunk_enter(struct thunk_frame *frame, bool is_slow)
{
    struct thunk *thunk = &thunks[frame->index];
    void *instead = instead_of(thunk);

    if (unlikely(is_slow))
        return enter_slowly(frame);
    return instead ? enter_call(frame, thunk, instead) : core_enter(frame, thunk, false);
}

static __attribute__((noinline)) void *wrap_enter_slowly(struct thunk_frame *frame,
                                                         struct wrap *wrap)
{
    int saved_errno = errno;
    void *target = core_wrap_enter(frame, wrap, &thunks[frame->index], true);

    errno = saved_errno;
    return target;
}

void *thunk_wrap_enter(struct thunk_frame *frame, struct wrap *wrap, bool is_slow)
{
    struct thunk *thunk = &thunks[frame->index];
    void *instead = instead_of(thunk);

    if (unlikely(is_slow))
        return wrap_enter_slowly(frame, wrap);
    if (thunk->role == THUNK_CALL)
        return wrap_task(frame, wrap, thunk);
    return instead ? wrap_call(frame, wrap, thunk, instead)
                   : core_wrap_enter(frame, wrap, thunk, false);
}

static __attribute__((noinline)) bool wrap_leave_slowly(struct thunk_frame *frame,
                                                        struct wrap *wrap)
{
    int saved_errno = errno;
    bool is_done = core_wrap_leave(frame, wrap, true);

    errno = saved_errno;
    return is_done;
}

bool thunk_wrap_leave(struct thunk_frame *frame, struct wrap *wrap, bool is_slow)
{
    const struct thunk *thunk = wrap->thunk;

    if (unlikely(is_slow))
        return wrap_leave_slowly(frame, wrap);
    if (thunk->role == THUNK_CALL && likely(leave_task(wrap)))
        return true;
    if (instead_of(thunk)) {
        kinds_put_back_arguments(thunk->hook, frame, wrap);
        return true;
    }
    return core_wrap_leave(frame, wrap, false);
}
