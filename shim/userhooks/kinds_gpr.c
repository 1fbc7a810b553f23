/*
 * What the kinds of hook do whose work is known by an object's address: in front of the real function, around it,
 * around the callback. Callbacks with an argument: kinds_call_gpr.c.
 *
 * The rules of core_gpr.c hold: with is_slow false a function answers false or NULL before it has
 * changed anything, if it would need more than this file, the table and the fast paths inlined here.
 */
#include "userhooks/kinds.h"

#include "context/internal.h"
#include "context/thread.h"
#include "families/handoff.h"
#include "userhooks/kinds_words.h"
#include "userhooks/tally.h"

/* ---- kind=submit, put, run, get, drop, field: by the object's address ---- */

/* By itself: the quick way has the registers for others. */
__attribute__((noinline)) bool kinds_data_key(struct named_hook *hook,
                                              const struct thunk_frame *frame, uintptr_t object,
                                              bool is_slow, uintptr_t *key)
{
    if (!kinds_find_key(hook, frame, object, is_slow, key))
        return false;
    if (*key)
        named_found_right(hook, kinds_thunk(frame));
    return true;
}

bool kinds_keep(struct named_hook *hook, const struct table_key *key, bool is_slow,
                struct context **kept)
{
    enum table_order order = hook->spec.is_front  ? TABLE_FIRST
                             : hook->spec.is_fifo ? TABLE_LAST
                                                  : TABLE_REPLACE;
    struct context *context, *old;

    *kept = NULL;
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
        context = kinds_take(thread);
        if (unlikely(!context))
            return false;
        if (table_put(key, context, order, false, &old) != TABLE_DONE) {
            kinds_give_back(thread, context);
            return false;
        }
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
static bool submit_list(struct named_hook *hook, struct thunk *thunk, uintptr_t object,
                        uintptr_t queue, bool is_slow)
{
    struct context *kept;

    if (!is_slow)
        return false;
    if (!kinds_is_address(object))
        return kinds_had_nothing(hook);
    if (!named_is_right(hook, thunk) && !named_has_list(thunk, object, LIST_MAX))
        return kinds_had_nothing(hook);
    for (unsigned i = 0; kinds_is_address(object) && i < LIST_MAX; i++) {
        struct table_key key = {object, queue, hook->spec.pair_id};

        kinds_keep(hook, &key, true, &kept);
        object = *(const uintptr_t *)(object + hook->spec.next);
    }
    return true;
}

bool kinds_submit_object(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                         bool is_slow)
{
    struct table_key key = {0, queue_of(hook, frame), hook->spec.pair_id};
    struct context *kept;

    if (!kinds_key(hook, frame, *frame_argument(frame, hook->spec.obj), is_slow, &key.object))
        return false;
    if (!key.object)
        return kinds_had_nothing(hook);
    if (unlikely(hook->spec.has_next))
        return submit_list(hook, kinds_thunk(frame), key.object, key.queue, is_slow);
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
    uint32_t bits = hook->spec.ok_bits;

    return !bits || (((uint32_t)*frame_result(frame, false) & bits) == hook->spec.ok_value) !=
                        hook->spec.ok_differs;
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
    uintptr_t item = 0;

    if (!wrap && !is_slow && !hook->spec.obj)
        return false;
    if (hook->spec.obj &&
        !kinds_key(hook, frame, *frame_argument(frame, hook->spec.obj), is_slow, &item))
        return false;
    if (!wrap && !is_slow) { /* what ends mostly waits for nothing any more */
        struct table_key key = {item, queue_of(hook, frame), hook->spec.pair_id};

        return !table_has(&key);
    }
    if (wrap) {
        wrap->theirs[0] = item;
        wrap->theirs[1] = queue_of(hook, frame);
        return true;
    }
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
    else if (hook->spec.queue_at == ITEM_POINTED) {
        kinds_read(hook, frame, wrap->theirs[1], 0, true, &queue);
        if (queue)
            named_found_right(hook, wrap->thunk);
    }
    queue_call(hook, queue, wrap->theirs[0]);
    return true;
}

/* Each function that was seen in the field has a thunk, which knows it: an object that was copied is
 * found by no address, and still runs. */
static inline bool submit_field(struct named_hook *hook, struct thunk *thunk, uintptr_t object,
                                bool is_slow)
{
    struct table_key key = {object, 0, hook->spec.pair_id};
    void **field = (void **)(object + hook->spec.off);
    struct context *kept;
    unsigned index = 0;

    if (!object)
        return kinds_had_nothing(hook);
    if (unlikely(!named_is_right(hook, thunk))) {
        if (!is_slow)
            return false;
        if (!named_has_field(thunk, object))
            return true;
    }
    if (!kinds_is_address(object))
        return kinds_had_nothing(hook);
    if (named_leaves_alone(hook, object)) /* nobody knows what its field is */
        return true;
    if (!*field)
        return kinds_had_nothing(hook);
    if (hook->spec.has_data)
        key.object = *(const uint64_t *)(object + hook->spec.data);
    if (!key.object)
        return kinds_had_nothing(hook);
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

bool kinds_submit_field(struct named_hook *hook, struct thunk_frame *frame, bool is_slow)
{
    uintptr_t object = *frame_argument(frame, hook->spec.obj);
    unsigned i = 0;

    if (likely(!hook->spec.has_next))
        return submit_field(hook, kinds_thunk(frame), object, is_slow);
    if (!is_slow)
        return false;
    do {
        submit_field(hook, kinds_thunk(frame), object, true);
        if (!kinds_is_address(object) || !named_is_right(hook, kinds_thunk(frame)))
            break;
        object = *(const uintptr_t *)(object + hook->spec.next);
    } while (object && ++i < LIST_MAX);
    return true;
}

void *kinds_run_field(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap,
                      bool is_slow)
{
    struct named_hook *hook = thunk->hook;
    struct table_key key = {*frame_argument(frame, hook->spec.cbarg), 0, hook->spec.pair_id};
    void *original = atomic_load_explicit(&thunk->original, memory_order_relaxed);
    struct context *context;

    if (!is_slow && !kinds_enter_is_fast(thread_self, wrap))
        return NULL;
    context = table_take(&key);
    if (!context) {
        named_missed(hook);
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
    struct table_key key = {0, 0, hook->spec.pair_id};
    struct context *context;

    if (!is_slow && !kinds_enter_is_fast(thread_self, wrap))
        return false;
    if (!kinds_key(hook, frame, *frame_argument(frame, hook->spec.obj), is_slow, &key.object))
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
    if (kinds_release_is_fast(thread, thread->attached) &&
        unnest_words(thread, thread->attached, thread->frame_mark)) {
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
    uintptr_t given = 0;

    if (!was_done(hook, frame))
        return true;
    if (!is_slow && !kinds_enter_is_fast(thread, wrap))
        return false;
    switch (hook->spec.item_at) {
    case ITEM_RESULT:
    case ITEM_RESULT2:
        given = *frame_result(frame, hook->spec.item_at == ITEM_RESULT2);
        break;
    case ITEM_POINTED:
        if (!kinds_read(hook, frame, wrap->theirs[0], 0, is_slow, &given))
            return false;
        if (given && !hook->spec.has_data)
            named_found_right(hook, wrap->thunk);
        break;
    default:
        given = wrap->theirs[0];
    }
    if (!kinds_key(hook, frame, given, is_slow, &key.object))
        return false;
    context = key.object ? table_take(&key) : NULL;
    if (!context)
        return true;
    tally_carried(hook, 1);
    if (scope_try_enter(thread, context, SCOPE_FRAME_ADOPTED))
        return true;
    if (scope_may_nest(thread, wrap_place(wrap) | FRAME_OWNED))
        scope_nest(thread, context, scope_frame_above(thread));
    else if (may_nest_words(thread, wrap_place(wrap) | FRAME_OWNED))
        nest_words(thread, context,
                   thread->attached ? scope_frame_above(thread) : SCOPE_FRAME_ADOPTED);
    else if (!scope_adopt(context))
        context_release(context);
    return true;
}

void named_let_go(void)
{
    kinds_let_go(true);
}
