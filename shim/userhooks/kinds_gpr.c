/*
 * What each kind of hook does: in front of the real function, around it, around the callback.
 *
 * The rules of core_gpr.c hold: with is_slow false a function answers false or NULL before it has
 * changed anything, if it would need more than this file, the table and the fast paths inlined here.
 */
#include "userhooks/kinds.h"

#include "base/mem.h"
#include "context/internal.h"
#include "context/thread.h"
#include "families/handoff.h"
#include "userhooks/function.h"
#include "userhooks/tally.h"

static inline bool capture_is_fast(const struct thread *thread)
{
    return thread_is_plain(thread) && thread->snapshot.refs > 0;
}

/* Nothing to hand over, as when a pool is told to end; where it is so in every call, an argument is not what its item
 * says. */
static bool had_nothing(struct named_hook *hook)
{
    named_unmet(hook);
    return true;
}

/* ---- kind=call ---- */

bool kinds_submit_call(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                       bool is_slow)
{
    uint64_t *fn = frame_argument(frame, hook->spec.fn),
             *arg = frame_argument(frame, hook->spec.arg);
    struct thread *thread = thread_self;
    struct context *context;
    void *node;

    if (thunk_is_ours((void *)*fn) || !hook->callback)
        return true;
    if (!*fn)
        return had_nothing(hook);
    if (unlikely(!atomic_load_explicit(&hook->is_right, memory_order_relaxed))) {
        if (!is_slow)
            return false;
        if (!named_has_function(hook, (void *)*fn))
            return true;
    }
    if (!is_slow && (hook->spec.is_repeating || !capture_is_fast(thread) ||
                     thread->records.next == thread->records.end))
        return false;
    context = context_capture(FAMILY_NAMED);
    if (!context)
        return true;
    if (hook->spec.is_repeating) {
        struct named_repeat *registration = named_repeat_new((void *)*fn, (void *)*arg, context);

        node = registration;
    } else {
        struct record *record = record_new();

        if (record)
            *record = (struct record){(void *)*fn, (void *)*arg, context};
        node = record;
    }
    if (!node) {
        context_rollback(FAMILY_NAMED, context);
        context_count_bare(FAMILY_NAMED, hook->spec.is_repeating ? BARE_FULL : BARE_MEMORY);
        return true;
    }
    if (wrap) {
        wrap->theirs[0] = *fn;
        wrap->theirs[1] = *arg;
    }
    *fn = (uint64_t)thunk_address(hook->callback, true);
    *arg = (uint64_t)node;
    if (wrap) {
        wrap->ours[0] = *fn;
        wrap->ours[1] = *arg;
    }
    tally_carried(hook, 1);
    return true;
}

/*
 * The compiler may know that the function leaves these registers alone and use them again for its
 * next call: they hold the program's own values when the function returns (GCC: -fipa-ra).
 */
void kinds_put_back_arguments(const struct named_hook *hook, struct thunk_frame *frame,
                              const struct wrap *wrap)
{
    uint64_t *fn = frame_argument(frame, hook->spec.fn),
             *arg = frame_argument(frame, hook->spec.arg);

    if (!wrap->ours[0])
        return;
    if (*fn == wrap->ours[0])
        *fn = wrap->theirs[0];
    if (*arg == wrap->ours[1])
        *arg = wrap->theirs[1];
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

static bool is_of_hook(const struct named_hook *hook, uint64_t value)
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

    while (position <= NAMED_ARGUMENTS && !is_of_hook(hook, *frame_argument(frame, position)))
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
    uint64_t *place = frame_argument(frame, hook->spec.cbarg);
    struct record *record = (struct record *)*place, taken;
    struct thread *thread = thread_self;

    if (!is_slow && (!kinds_attach_is_fast(thread, wrap) || !record_is_near(thread, record) ||
                     !record->context))
        return NULL;
    if (unlikely(is_slow && !record_is_at(record))) {
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
    uint64_t *place = frame_argument(frame, hook->spec.cbarg);
    struct named_repeat *registration;

    if (!is_slow)
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
    return registration->function;
}

/* ---- kind=stdfunction ---- */

/* Its argument, which points to what points to the node; 0: there is none like that. Slow. */
static unsigned find_node(const struct named_hook *hook, struct thunk_frame *frame)
{
    if (function_is_at(*frame_argument(frame, hook->spec.cbarg)))
        return hook->spec.cbarg;
    for (unsigned position = 1; position <= NAMED_ARGUMENTS; position++) {
        if (function_is_at(*frame_argument(frame, position)))
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

    if (!is_slow && !kinds_attach_is_fast(thread_self, wrap))
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
    node = **(struct function_node ***)place;
    *place = (uint64_t)&node->any;
    kinds_enter(wrap, function_context(node));
    return node->invoker;
}

/* ---- kind=submit, put, run, get, drop, field: by the object's address ---- */

bool kinds_keep(struct named_hook *hook, const struct table_key *key, bool is_slow,
                struct context **kept)
{
    enum table_order order = hook->spec.is_front  ? TABLE_FIRST
                             : hook->spec.is_fifo ? TABLE_LAST
                                                  : TABLE_REPLACE;
    struct context *context, *old;

    *kept = NULL;
    if (!is_slow && !capture_is_fast(thread_self))
        return false;
    if (is_slow) {
        context = context_capture(FAMILY_NAMED);
        if (!context)
            return true;
        if (table_put(key, context, order, true, &old) == TABLE_FULL) {
            context_rollback(FAMILY_NAMED, context);
            context_count_bare(FAMILY_NAMED, BARE_FULL);
            return true;
        }
        if (old) {
            atomic_fetch_add_explicit(&hook->evicted, 1, memory_order_relaxed);
            context_release(old);
        }
    } else {
        struct thread *thread = thread_self;

        /* As context_capture, but undone without a trace when the table has no room at hand. */
        context = thread->snapshot.context;
        if (table_put(key, context, order, false, &old) != TABLE_DONE)
            return false;
        thread->snapshot.refs--;
        thread->snapshot.tally[FAMILY_NAMED]++;
    }
    *kept = context;
    tally_carried(hook, 1);
    return true;
}

static inline uintptr_t queue_of(const struct named_hook *hook, struct thunk_frame *frame)
{
    return hook->spec.queue ? *frame_argument(frame, hook->spec.queue) : 0;
}

enum { LIST_MAX = 4096 }; /* of one call; a list that goes round ends there */

/* Each of a list waits by itself. What is done of it already is replaced when it is done again. */
static bool submit_list(struct named_hook *hook, uintptr_t object, uintptr_t queue, bool is_slow)
{
    struct context *kept;

    if (!is_slow)
        return false;
    for (unsigned i = 0; object && i < LIST_MAX; i++) {
        struct table_key key = {object, queue, hook->spec.pair_id};

        kinds_keep(hook, &key, true, &kept);
        object = *(const uintptr_t *)(object + hook->spec.next);
    }
    return true;
}

bool kinds_submit_object(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                         bool is_slow)
{
    struct table_key key = {kinds_key(&hook->spec, *frame_argument(frame, hook->spec.obj)),
                            queue_of(hook, frame), hook->spec.pair_id};
    struct context *kept;

    if (!key.object)
        return had_nothing(hook);
    if (unlikely(hook->spec.has_next))
        return submit_list(hook, key.object, key.queue, is_slow);
    if (!kinds_keep(hook, &key, is_slow, &kept))
        return false;
    if (wrap) {
        wrap->ours[0] = (uint64_t)kept;
        wrap->theirs[0] = key.object;
        wrap->theirs[1] = key.queue;
    }
    return true;
}

static inline bool was_done(const struct named_hook *hook, struct thunk_frame *frame)
{
    uint64_t result = *frame_result(frame, false);

    return !hook->spec.ok ||
           (hook->spec.ok == OK_TRUE ? (uint8_t)result != 0
                                     : ((uint32_t)result == 0) == (hook->spec.ok == OK_ZERO));
}

/* A put that failed: nobody will get the item. */
bool kinds_submit_done(struct named_hook *hook, struct thunk_frame *frame, const struct wrap *wrap,
                       bool is_slow)
{
    struct table_key key = {wrap->theirs[0], wrap->theirs[1], hook->spec.pair_id};
    struct context *context = (struct context *)wrap->ours[0];

    if (!context || was_done(hook, frame))
        return true;
    if (!is_slow)
        return false;
    context = table_take_last(&key, context);
    if (context) {
        tally_carried(hook, -1);
        context_rollback(FAMILY_NAMED, context);
    }
    return true;
}

/* Around a drop or ref. Without a wrap it is done before the call. */
bool kinds_drop(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap, bool is_slow)
{
    uintptr_t item = hook->spec.obj ? kinds_key(&hook->spec, *frame_argument(frame, hook->spec.obj))
                                    : 0;

    if (wrap) {
        wrap->theirs[0] = item;
        wrap->theirs[1] = queue_of(hook, frame);
        return true;
    }
    if (!is_slow)
        return false;
    queue_call(hook, queue_of(hook, frame), item);
    return true;
}

bool kinds_drop_done(struct named_hook *hook, struct thunk_frame *frame, const struct wrap *wrap,
                     bool is_slow)
{
    uintptr_t queue = wrap->theirs[1];

    if (!was_done(hook, frame))
        return true;
    if (!is_slow)
        return false;
    if (hook->spec.queue_at == ITEM_RESULT)
        queue = *frame_result(frame, false);
    else if (hook->spec.queue_at == ITEM_POINTED)
        queue = queue ? *(const uint64_t *)queue : 0;
    queue_call(hook, queue, wrap->theirs[0]);
    return true;
}

/* Each function that was seen in the field has a thunk, which knows it: an object that was copied is
 * found by no address, and still runs. */
bool kinds_submit_field(struct named_hook *hook, struct thunk_frame *frame, bool is_slow)
{
    uint64_t object = *frame_argument(frame, hook->spec.obj);
    struct table_key key = {object, 0, hook->spec.pair_id};
    void **field = (void **)(object + hook->spec.off);
    struct context *kept;
    unsigned index = 0;

    if (!object)
        return had_nothing(hook);
    if (unlikely(!atomic_load_explicit(&hook->is_right, memory_order_relaxed))) {
        if (!is_slow)
            return false;
        if (!named_has_field(hook, object))
            return true;
    }
    if (!*field)
        return had_nothing(hook);
    if (hook->spec.has_data)
        key.object = *(const uint64_t *)(object + hook->spec.data);
    if (!key.object)
        return had_nothing(hook);
    if (!thunk_is_ours(*field)) {
        index = thunk_find(hook, THUNK_FIELD, *field);
        if (!index && !is_slow)
            return false;
        if (!index)
            index = thunk_take(hook, THUNK_FIELD, *field);
        if (!index) {
            context_count_bare(FAMILY_NAMED, BARE_FULL);
            return true;
        }
    }
    if (!kinds_keep(hook, &key, is_slow, &kept))
        return false;
    if (kept && index)
        *field = thunk_address(index, true);
    return true;
}

void *kinds_run_field(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap,
                      bool is_slow)
{
    struct named_hook *hook = thunk->hook;
    struct table_key key = {*frame_argument(frame, hook->spec.cbarg), 0, hook->spec.pair_id};
    void *original = atomic_load_explicit(&thunk->original, memory_order_relaxed);
    struct context *context;

    if (!is_slow && !kinds_attach_is_fast(thread_self, wrap))
        return NULL;
    context = table_take(&key);
    if (!context) {
        named_unmet(hook);
        wrap->stack_words = WRAP_JUMP;
        return original;
    }
    named_met(hook);
    if (!hook->spec.has_data) { /* else it is not known where the object is: the field stays ours */
        void **field = (void **)(key.object + hook->spec.off);

        if (*field == thunk_address((unsigned)(thunk - thunks), true))
            *field = original;
    }
    kinds_enter(wrap, context);
    return original;
}

bool kinds_run_object(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                      bool is_slow)
{
    struct table_key key = {kinds_key(&hook->spec, *frame_argument(frame, hook->spec.obj)), 0,
                            hook->spec.pair_id};
    struct context *context;

    if (!is_slow && !kinds_attach_is_fast(thread_self, wrap))
        return false;
    context = key.object ? table_take(&key) : NULL;
    if (!context) {
        wrap->stack_words = WRAP_JUMP;
        return true;
    }
    tally_carried(hook, 1);
    kinds_enter(wrap, context);
    return true;
}

/* The worker is done with what it took out last, and has its own values while it waits. */
bool kinds_let_go(bool is_slow)
{
    struct thread *thread = thread_self;

    if (!thread->attached ||
        (thread->frame_mark & FRAME_FLAGS & ~(uintptr_t)FRAME_SLOW) != FRAME_ADOPTED)
        return true;
    if (!(thread->frame_mark & FRAME_SLOW) && thread->depth == 0 && guard_is_clear() &&
        kinds_release_is_fast(thread, thread->attached)) {
        thread->attached = NULL;
        thread->deferred.releases--;
        return true;
    }
    if (thread->frame_mark & FRAME_SLOW && guard_is_clear() && scope_is_nested(thread) &&
        kinds_release_is_fast(thread, thread->attached)) {
        scope_unnest(thread);
        thread->deferred.releases--;
        return true;
    }
    if (!is_slow)
        return false;
    scope_leave_adopted(thread);
    return true;
}

/* The item came out: its context stays until this thread's next get. */
bool kinds_adopt(struct named_hook *hook, struct thunk_frame *frame, const struct wrap *wrap,
                 bool is_slow)
{
    struct table_key key = {0, wrap->theirs[1], hook->spec.pair_id};
    struct context *context;
    struct thread *thread = thread_self;

    if (!was_done(hook, frame))
        return true;
    if (!is_slow && !kinds_attach_is_fast(thread, wrap))
        return false;
    switch (hook->spec.item_at) {
    case ITEM_RESULT:
    case ITEM_RESULT2:
        key.object = *frame_result(frame, hook->spec.item_at == ITEM_RESULT2);
        break;
    case ITEM_POINTED:
        key.object = wrap->theirs[0] ? *(const uint64_t *)wrap->theirs[0] : 0;
        break;
    default:
        key.object = wrap->theirs[0];
    }
    key.object = kinds_key(&hook->spec, key.object);
    context = key.object ? table_take(&key) : NULL;
    if (!context)
        return true;
    tally_carried(hook, 1);
    if (scope_try_enter(thread, context, SCOPE_FRAME_ADOPTED))
        return true;
    if (scope_may_nest(thread, wrap_place(wrap) | FRAME_OWNED))
        scope_nest(thread, context, scope_frame_above(thread));
    else if (!scope_adopt(context))
        context_release(context);
    return true;
}

void named_let_go(void)
{
    kinds_let_go(true);
}
