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
#include "userhooks/kinds_words.h"
#include "userhooks/repeat.h"
#include "userhooks/tally.h"

/* ---- of kind=call ---- */

/* Of threads that carry keys alone; else. */
enum of { OF_KEYS, OF_OTHERS };

static inline __attribute__((always_inline)) void *
submit(enum of of, struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk, void *instead)
{
    struct thread *thread = thread_self;
    char *counts = (char *)tally_at(thread);
    uint64_t *fn = frame_argument(frame, thunk->fn), *arg;
    struct named_tally *count;
    void *original;
    struct context *context;
    struct record *record;

    if (unlikely(!counts || !*fn || thunk_is_in_bank((void *)*fn) ||
                 thread->records.next == thread->records.end))
        return NULL;
    if (of == OF_OTHERS)
        context = take_words(thread);
    else if (likely(thread_is_plain(thread)))
        context = context_take_bought(thread, FAMILY_NAMED);
    else
        context = context_try_batch(thread, FAMILY_NAMED);
    if (unlikely(!context))
        return NULL;
    record = record_bump(thread);
    arg = frame_argument(frame, thunk->arg);
    record->function = (void *)*fn;
    record->data = (void *)*arg;
    record->context = context;
    if (wrap) {
        wrap->thunk = thunk;
        wrap->context = NULL;
        wrap->node = NULL;
        wrap->stack_words = thunk->hook->spec.stack;
        wrap->theirs[0] = (uint64_t)record->function;
        wrap->theirs[1] = (uint64_t)record->data;
        wrap->ours[0] = (uint64_t)instead;
        wrap->ours[1] = (uint64_t)record;
    }
    *fn = (uint64_t)instead;
    *arg = (uint64_t)record;
    count = (struct named_tally *)(void *)(counts + thunk->count_at);
    count->fired++;
    count->carried++;
    original = atomic_load_explicit(&thunk->original, memory_order_relaxed);
    if (!original) /* it is there, else there was nothing instead; the compiler cannot know */
        __builtin_unreachable();
    return original;
}

static inline __attribute__((always_inline)) void *run(enum of of, struct thunk_frame *frame,
                                                       struct wrap *wrap, struct thunk *thunk)
{
    uint64_t *place = frame_argument(frame, named_callback_at(thunk->hook));
    struct record *record = (struct record *)*place;
    struct thread *thread = thread_self;
    struct context *context;
    uintptr_t frame_mark;
    void *function;

    if (unlikely(!record_is_near(thread, record) || !record->context))
        return NULL;
    context = record->context;
    frame_mark = wrap_place(wrap) | FRAME_OWNED;
    if (of == OF_OTHERS) {
        if (!nest_words(thread, context, frame_mark))
            return NULL;
    } else if (!scope_try_enter(thread, context, frame_mark)) {
        if (unlikely(!scope_may_nest(thread, frame_mark)))
            return NULL;
        scope_nest(thread, context, frame_mark);
    }
    wrap->thunk = thunk;
    wrap->context = context;
    wrap->node = NULL;
    wrap->stack_words = thunk->hook->spec.callback_stack;
    *place = (uint64_t)record->data;
    record->context = NULL;
    record_free_near(thread);
    function = record->function;
    if (!function) /* nobody hands that over */
        __builtin_unreachable();
    return function;
}

/* Of any callback: whose attach has this mark was entered as those of kind=call are. */
static inline __attribute__((always_inline)) bool leave(enum of of, const struct wrap *wrap)
{
    struct thread *thread = thread_self;
    struct context *context = wrap->context;
    uintptr_t flags;

    if (unlikely(!context || thread->attached != context ||
                 !kinds_release_is_fast(thread, context)))
        return false;
    flags = thread->frame_mark - wrap_place(wrap);
    if (of == OF_OTHERS) {
        if (!unnest_words(thread, context, wrap_place(wrap) | FRAME_OWNED))
            return false;
    } else if (unlikely(!guard_is_clear())) {
        return false;
    } else if (flags == FRAME_OWNED && !thread->depth) {
        thread->attached = NULL;
    } else if (flags == (FRAME_OWNED | FRAME_SLOW) && scope_is_nested(thread)) {
        scope_unnest(thread);
    } else {
        return false;
    }
    thread->deferred.releases--;
    return true;
}

/* Each of these is of its own and ends in the next one, so that none has a register saved for another's sake. */
#define APART_HERE static __attribute__((noinline))

static inline void *instead_of(const struct thunk *thunk)
{
    return atomic_load_explicit(&thunk->instead, memory_order_acquire);
}

APART_HERE void *enter_otherwise(struct thunk_frame *frame, struct thunk *thunk, void *instead)
{
    void *target = submit(OF_OTHERS, frame, NULL, thunk, instead);

    return target ? target : core_enter(frame, thunk, false);
}

APART_HERE void *wrap_otherwise(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk,
                                void *instead)
{
    void *target = submit(OF_OTHERS, frame, wrap, thunk, instead);

    return target ? target : core_wrap_enter(frame, wrap, thunk, false);
}

APART_HERE void *task_otherwise(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk)
{
    void *target = thunk->role == THUNK_CALL        ? run(OF_OTHERS, frame, wrap, thunk)
                   : thunk->hook->spec.is_repeating ? repeat_run_quickly(frame, wrap, thunk)
                                                    : NULL;

    return target ? target : core_wrap_enter(frame, wrap, thunk, false);
}

APART_HERE bool leave_otherwise(struct thunk_frame *frame, struct wrap *wrap)
{
    return wrap->node ? repeat_leave_quickly(wrap->node, wrap)
                      : leave(OF_OTHERS, wrap) || core_wrap_leave(frame, wrap, false);
}

/* ---- what the thunks call ---- */

void *thunk_enter(struct thunk_frame *frame, struct thunk *thunk)
{
    void *instead = instead_of(thunk), *target;

    if (!instead)
        return core_enter(frame, thunk, false);
    target = submit(OF_KEYS, frame, NULL, thunk, instead);
    return likely(target != NULL) ? target : enter_otherwise(frame, thunk, instead);
}

void *thunk_wrap_enter(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk)
{
    void *instead = instead_of(thunk), *target;

    if (!instead) /* thunks that do not look for it come here with callbacks, too */
        return thunk->role == THUNK_FUNCTION ? core_wrap_enter(frame, wrap, thunk, false)
                                             : thunk_task_enter(frame, wrap, thunk);
    target = submit(OF_KEYS, frame, wrap, thunk, instead);
    return likely(target != NULL) ? target : wrap_otherwise(frame, wrap, thunk, instead);
}

void *thunk_task_enter(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk)
{
    void *target = likely(thunk->role == THUNK_CALL) ? run(OF_KEYS, frame, wrap, thunk) : NULL;

    return likely(target != NULL) ? target : task_otherwise(frame, wrap, thunk);
}

bool thunk_task_leave(struct thunk_frame *frame, struct wrap *wrap)
{
    return likely(leave(OF_KEYS, wrap)) || leave_otherwise(frame, wrap);
}

bool thunk_wrap_leave(struct thunk_frame *frame, struct wrap *wrap)
{
    const struct thunk *thunk = wrap->thunk;

    if (thunk->role != THUNK_FUNCTION)
        return thunk_task_leave(frame, wrap);
    if (instead_of(thunk)) {
        kinds_put_back_arguments(thunk->hook, frame, wrap);
        return true;
    }
    return core_wrap_leave(frame, wrap, false);
}

void *thunk_enter_slowly(struct thunk_frame *frame)
{
    int saved_errno = errno;
    void *target = core_enter(frame, kinds_thunk(frame), true);

    errno = saved_errno;
    return target;
}

void *thunk_wrap_enter_slowly(struct thunk_frame *frame, struct wrap *wrap)
{
    int saved_errno = errno;
    void *target = core_wrap_enter(frame, wrap, kinds_thunk(frame), true);

    errno = saved_errno;
    return target;
}

void thunk_wrap_leave_slowly(struct thunk_frame *frame, struct wrap *wrap)
{
    int saved_errno = errno;

    core_wrap_leave(frame, wrap, true);
    errno = saved_errno;
}
