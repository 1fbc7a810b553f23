/*
 * What the kinds of hook do whose work is known by its callback: a function with an argument (call, repeat), an
 * object that has one (stdfunction). In front of the real function and around the callback.
 *
 * The rules of core_gpr.c hold: with is_slow false a function answers false or NULL before it has
 * changed anything, if it would need more than this file, the table and the fast paths inlined here.
 */
#include "userhooks/kinds_words.h"

#include "context/internal.h"
#include "context/thread.h"
#include "families/handoff.h"
#include "userhooks/function.h"
#include "userhooks/function_libcxx.h"
#include "userhooks/repeat.h"
#include "userhooks/tally.h"

/* ---- kind=call ---- */

static inline void *make_node(struct named_hook *hook, void *function, void *data,
                              struct context *context)
{
    bool is_repeating = hook->spec.is_repeating;
    struct record *record = is_repeating ? NULL : record_new();
    void *node = is_repeating ? (void *)named_repeat_new(function, data, context) : record;

    if (record)
        *record = (struct record){function, data, context};
    if (!node) {
        context_rollback(FAMILY_NAMED, context);
        context_count_bare(FAMILY_NAMED, is_repeating ? BARE_FULL : BARE_MEMORY);
    }
    return node;
}

void *kinds_node(struct named_hook *hook, void *function, void *data, struct context *context)
{
    return make_node(hook, function, data, context);
}

static inline void exchange(const struct named_hook *hook, struct thunk_frame *frame,
                            struct wrap *wrap, void *function, void *data)
{
    uint64_t *fn = frame_argument(frame, hook->spec.fn),
             *arg = frame_argument(frame, hook->spec.arg);

    if (wrap) {
        wrap->theirs[0] = *fn;
        wrap->theirs[1] = *arg;
    }
    *fn = (uint64_t)function;
    *arg = (uint64_t)data;
    if (wrap) {
        wrap->ours[0] = *fn;
        wrap->ours[1] = *arg;
    }
}

void kinds_exchange(const struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                    void *function, void *data)
{
    exchange(hook, frame, wrap, function, data);
}

/* Its next calls are quick_gpr.c's; not those of a function whose caller decides which copy is meant. */
static void note_believed(const struct named_hook *hook, struct thunk *thunk)
{
    if (!atomic_load_explicit(&thunk->original, memory_order_acquire))
        return;
    thunk->fn = hook->spec.fn;
    thunk->arg = hook->spec.arg;
    thunk->count_at = (uint32_t)(hook->index * sizeof(struct named_tally));
    atomic_store_explicit(&thunk->instead, thunk_address(hook->callback, true),
                          memory_order_release);
}

/* Of a thread that has a context at hand, while a registration is. */
static bool submit_repeat(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap)
{
    struct thread *thread = thread_self;
    struct named_repeat *registration;
    struct context *context;

    if (!(context = kinds_take(thread)))
        return false;
    registration = repeat_take((void *)*frame_argument(frame, hook->spec.fn),
                               (void *)*frame_argument(frame, hook->spec.arg), context);
    if (!registration) {
        kinds_give_back(thread, context);
        return false;
    }
    exchange(hook, frame, wrap, thunk_address(hook->callback, true), registration);
    tally_carried(hook, 1);
    return true;
}

bool kinds_submit_call(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                       bool is_slow)
{
    uint64_t *fn = frame_argument(frame, hook->spec.fn),
             *arg = frame_argument(frame, hook->spec.arg);
    struct context *context;
    void *node;

    if (thunk_is_ours((void *)*fn) || !hook->callback)
        return true;
    if (!*fn)
        return kinds_had_nothing(hook);
    if (unlikely(!named_is_right(hook, kinds_thunk(frame))))
        return false;
    if (!is_slow)
        return hook->spec.is_repeating && submit_repeat(hook, frame, wrap);
    if (!hook->spec.is_repeating)
        note_believed(hook, kinds_thunk(frame));
    context = context_capture(FAMILY_NAMED);
    if (!context)
        return true;
    node = make_node(hook, (void *)*fn, (void *)*arg, context);
    if (!node)
        return true;
    exchange(hook, frame, wrap, thunk_address(hook->callback, true), node);
    tally_carried(hook, 1);
    return true;
}

/* A callback that runs twice for one call should have been named with repeat. Its record is not ours
 * any more, but what stands in it is good until its memory is needed again. */
static void *run_call_again(struct named_hook *hook, const struct record *record, struct wrap *wrap)
{
    context_count_bare(FAMILY_NAMED, BARE_ERROR);
    named_ran_again(hook);
    wrap->stack_words = WRAP_JUMP;
    return record->function;
}

bool kinds_is_node(const struct named_hook *hook, uint64_t value)
{
    const struct record *record = (const struct record *)value;

    if (hook->spec.is_repeating)
        return named_repeat_is_at((const void *)value);
    return record_is_at(record) && record->context && record->function;
}

static uint64_t nothing(void)
{
    return 0;
}

void *kinds_run_nothing(struct named_hook *hook, struct wrap *wrap)
{
    named_unmet(hook);
    context_count_bare(FAMILY_NAMED, BARE_ERROR);
    wrap->stack_words = WRAP_JUMP;
    return (void *)nothing;
}

/* The callback got something else where its record should be: cbarg= or arg= is wrong. Where it did come it is
 * found; if it did not, nobody knows which function was meant. */
static void *find_record(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                         uint64_t **place)
{
    unsigned position = 1;

    while (position <= NAMED_ARGUMENTS && !kinds_is_node(hook, *frame_argument(frame, position)))
        position++;
    named_record_missing(hook, position <= NAMED_ARGUMENTS ? position : 0);
    if (position <= NAMED_ARGUMENTS) {
        *place = frame_argument(frame, position);
        return NULL;
    }
    return kinds_run_nothing(hook, wrap);
}

void *kinds_run_call(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                     bool is_slow)
{
    uint64_t *place = frame_argument(frame, named_callback_at(hook));
    struct record *record = (struct record *)*place, taken;

    if (!is_slow)
        return NULL;
    if (!record_is_at(record)) {
        void *instead = find_record(hook, frame, wrap, &place);

        if (instead)
            return instead;
        record = (struct record *)*place;
    }
    *place = (uint64_t)record->data;
    if (!record->context)
        return run_call_again(hook, record, wrap);
    taken = *record;
    record->context = NULL;
    record_free(record);
    kinds_enter(wrap, taken.context);
    return taken.function;
}

void *kinds_run_repeat(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                       bool is_slow)
{
    uint64_t *place = frame_argument(frame, named_callback_at(hook));
    struct named_repeat *registration;

    if (!is_slow) /* repeat_run_quickly could not */
        return NULL;
    if (!named_repeat_is_at((const void *)*place)) {
        void *instead = find_record(hook, frame, wrap, &place);

        if (instead)
            return instead;
    }
    registration = (struct named_repeat *)*place;
    *place = (uint64_t)registration->data;
    wrap->node = registration;
    named_repeat_enter(registration, wrap);
    return atomic_load_explicit(&registration->function, memory_order_relaxed);
}

/* ---- kind=stdfunction ---- */

/* Its argument, which points to what points to the node, or to one of libc++; 0: there is none like that. Slow. */
static unsigned find_node(const struct named_hook *hook, struct thunk_frame *frame)
{
    bool (*is_ours)(uintptr_t) = hook->libcxx ? libcxx_is_node : function_is_at;

    if (is_ours(*frame_argument(frame, hook->spec.cbarg)))
        return hook->spec.cbarg;
    for (unsigned position = 1; position <= NAMED_ARGUMENTS; position++) {
        if (is_ours(*frame_argument(frame, position)))
            return position;
    }
    return 0;
}

void *kinds_run_function(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                         bool is_slow)
{
    unsigned position = hook->spec.cbarg;
    struct function_node *node;
    uint64_t *place;

    if (!is_slow && !kinds_enter_is_fast(thread_self, wrap))
        return NULL;
    if (unlikely(!atomic_load_explicit(&hook->has_place, memory_order_relaxed))) {
        if (!is_slow)
            return NULL;
        position = find_node(hook, frame);
        if (position == hook->spec.cbarg)
            atomic_store_explicit(&hook->has_place, true, memory_order_relaxed);
        else
            named_record_missing(hook, position);
        if (!position)
            return kinds_run_nothing(hook, wrap);
    }
    place = frame_argument(frame, position);
    if (unlikely(atomic_load_explicit(&hook->libcxx, memory_order_relaxed) != NULL)) {
        struct libcxx_node *held = *(struct libcxx_node **)place;

        *place = (uint64_t)held->object;
        kinds_enter(wrap, libcxx_context(held));
        return libcxx_virtual((void *)*place, LIBCXX_CALL);
    }
    node = **(struct function_node ***)place;
    *place = (uint64_t)&node->any;
    kinds_enter(wrap, function_context(node));
    return node->invoker;
}
