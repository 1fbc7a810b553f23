/*
 * kind=call,repeat: runs that need nobody but this thread and the registration: nothing counts or saves runs, and the
 * callback leaves what it found. repeat.c has the others.
 *
 * The rules of core_gpr.c hold.
 */
#include "userhooks/repeat.h"

#include "userhooks/kinds.h"
#include "userhooks/kinds_words.h"
#include "userhooks/probe.h"

/* By their addresses, the last ones of each place. */
enum { KNOWN = 4096 };
static _Atomic(const void *) known[KNOWN];

_Atomic(struct repeats *) repeats_open;
bool named_periodic = true;

static _Atomic(const void *) *known_at(const void *place)
{
    return &known[((uintptr_t)place >> 4) % KNOWN];
}

/* Not all are. */
static bool is_known(const void *place)
{
    return place && atomic_load_explicit(known_at(place), memory_order_acquire) == place;
}

struct named_repeat *repeat_take(void *function, void *data, struct context *context)
{
    struct repeats *open = atomic_load_explicit(&repeats_open, memory_order_acquire);
    struct named_repeat *registration;
    unsigned number;

    if (!open || atomic_load_explicit(&open->used, memory_order_relaxed) >= REPEATS_AT_ONCE)
        return NULL;
    number = atomic_fetch_add_explicit(&open->used, 1, memory_order_relaxed);
    if (number >= REPEATS_AT_ONCE)
        return NULL;
    registration = &open->items[number];
    registration->data = data;
    registration->context = context;
    atomic_store_explicit(&registration->function, function, memory_order_release);
    atomic_store_explicit(known_at(registration), registration, memory_order_release);
    thread_self->records.made++;
    return registration;
}

static bool may_enter(const struct thread *thread, uintptr_t frame_mark)
{
    return thread_is_uncounted(thread) || (!slot_counts_on && (scope_may_nest(thread, frame_mark) ||
                                                               may_nest_words(thread, frame_mark)));
}

static bool enter(struct thread *thread, struct context *context, uintptr_t frame_mark)
{
    if (scope_try_keep(thread, context, frame_mark))
        return true;
    if (!scope_may_nest(thread, frame_mark))
        return nest_words(thread, context, frame_mark);
    scope_nest(thread, context, frame_mark);
    return true;
}

/* NULL: another run has it. The lock is held for a moment: a signal handler may run such a callback, too. */
static struct context *borrow(struct named_repeat *registration)
{
    struct context *context = NULL;

    if (!lock_try(lock_of(registration)))
        return NULL;
    if (!registration->borrowed)
        context = registration->borrowed = registration->context;
    lock_drop(lock_of(registration));
    return context;
}

/* True: somebody has left the reference to it to the run. */
static bool give_back(struct named_repeat *registration)
{
    bool is_left;

    lock_take(lock_of(registration));
    is_left = registration->is_left;
    registration->is_left = false;
    registration->borrowed = NULL;
    lock_drop(lock_of(registration));
    return is_left;
}

static bool enter_run(struct named_repeat *registration, struct wrap *wrap)
{
    uintptr_t frame_mark = wrap_place(wrap) | FRAME_KEEP;
    struct thread *thread = thread_self;
    struct context *context;

    if (!named_periodic || context_may_be_old || !may_enter(thread, frame_mark) ||
        !(context = borrow(registration)))
        return false;
    wrap->context = context;
    wrap->ours[0] = RUN_BORROWS;
    if (likely(enter(thread, context, frame_mark)))
        return true;
    /* A handler has come since. What it may have left is kept by a registration that stays: for ever. */
    wrap->context = NULL;
    give_back(registration);
    return false;
}

/* Which one it is that the thunk runs; NULL: that is still to be found out. In *PLACE: what is to have its data. */
static struct named_repeat *registration_of(struct thunk_frame *frame, const struct thunk *thunk,
                                            uint64_t **place)
{
    const struct probe *probe = atomic_load_explicit(&thunk->probe, memory_order_acquire);

    if (thunk->role != THUNK_REPEAT && (!probe || !named_is_right(thunk->hook, probe->of)))
        return NULL;
    *place = NULL;
    if (thunk->role == THUNK_PROBE) /* its data was left alone */
        return atomic_load_explicit(&probe->held, memory_order_acquire);
    *place = frame_argument(frame, named_callback_at(thunk->hook));
    return is_known((const void *)**place) ? (struct named_repeat *)**place : NULL;
}

void *repeat_run_quickly(struct thunk_frame *frame, struct wrap *wrap, struct thunk *thunk)
{
    uint64_t *place;
    struct named_repeat *registration = registration_of(frame, thunk, &place);

    if (!registration || !enter_run(registration, wrap))
        return NULL;
    wrap->thunk = thunk;
    wrap->node = registration;
    wrap->stack_words = thunk->hook->spec.callback_stack;
    if (place)
        *place = (uint64_t)registration->data;
    return atomic_load_explicit(&registration->function, memory_order_relaxed);
}

/* The run's attach, if it is as it was made. */
static bool leave(struct thread *thread, struct context *context, uintptr_t frame_mark)
{
    if (thread->attached != context)
        return false;
    if (guard_is_clear()) {
        if (thread->frame_mark == frame_mark && !thread->depth) {
            thread->attached = NULL;
            return true;
        }
        if (thread->frame_mark != (frame_mark | FRAME_SLOW) || !scope_is_nested(thread))
            return false;
        scope_unnest(thread);
        return true;
    }
    return words_are_all() && thunk_words_same(context, NULL) &&
           unnest_words(thread, context, frame_mark);
}

bool repeat_leave_quickly(struct named_repeat *registration, struct wrap *wrap)
{
    if (!wrap->context)
        return true;
    if (wrap->ours[0] != RUN_BORROWS ||
        !leave(thread_self, wrap->context, wrap_place(wrap) | FRAME_KEEP))
        return false;
    wrap->ours[0] = RUN_OWES;
    return !give_back(registration);
}
