/*
 * What happens in a thunk: handing over in front of the real function, running around it.
 *
 * Compiled without vector registers (Makefile), so a thunk that saves nine registers has saved all.
 * Every function here is called up to twice for one call of the program: first with is_slow false,
 * when it may call nothing outside of this file and table_gpr.c and must answer "not done" before it
 * has changed anything; then, if it answered that, with is_slow true and the vector state saved.
 * errno is kept by the slow calls.
 */
#include "hooks/core.h"

#include <errno.h>

#include "base/mem.h"
#include "context/private.h"
#include "context/thread.h"
#include "handoffs/handoff.h"
#include "hooks/function.h"

enum { JUMP = UINT64_MAX }; /* struct wrap.stack_words: leave no frame, jump to the target */

_Static_assert(sizeof(struct wrap) <= WRAP_ROOM, "thunks_ARCH.S makes room for it");

static inline void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline bool capture_is_fast(const struct thread *thread)
{
    return thread_is_plain(thread) && thread->prepaid > 0;
}

static inline bool attach_is_fast(const struct thread *thread)
{
    return thread_is_plain(thread);
}

static inline bool release_is_fast(const struct thread *thread, const struct context *context)
{
    return context == thread->debt_context && thread->debt > 1;
}

/* ---- around a task ---- */

/* Attaches for the time of the wrapped call; takes over the reference. */
static void enter(struct wrap *wrap, struct context *context)
{
    uintptr_t mark = (uintptr_t)wrap | MARK_OWNED;

    if (!scope_try_enter(thread_self, context, mark) && !scope_enter_slow(context, mark)) {
        context_release(context);
        return;
    }
    wrap->context = context;
}

static bool leave(struct wrap *wrap, bool is_slow)
{
    struct thread *thread = thread_self;
    struct context *context = wrap->context;

    if (!context)
        return true;
    if (thread->over == context && thread->mark == ((uintptr_t)wrap | MARK_OWNED) &&
        thread->depth == 0 && guard_is_clear() && release_is_fast(thread, context)) {
        thread->over = NULL;
        thread->debt--;
        return true;
    }
    if (!is_slow)
        return false;
    scope_leave_slow(thread, (uintptr_t)wrap);
    return true;
}

/* ---- kind=call ---- */

static bool submit_call(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                        bool is_slow)
{
    uint64_t *fn = frame_argument(frame, hook->spec.fn),
             *arg = frame_argument(frame, hook->spec.arg);
    struct thread *thread = thread_self;
    struct context *context;
    void *node;

    if (!*fn || thunk_is_ours((void *)*fn) || !hook->callback)
        return true;
    if (!is_slow && (hook->spec.is_repeating || !capture_is_fast(thread) ||
                     thread->record_next == thread->record_end))
        return false;
    context = context_capture(FAMILY_NAMED);
    if (!context)
        return true;
    if (hook->spec.is_repeating) {
        struct repeat *repeat = repeat_new((void *)*fn, (void *)*arg, context);

        node = repeat;
    } else {
        struct record *record = record_new();

        if (record)
            *record = (struct record){(void *)*fn, (void *)*arg, context};
        node = record;
    }
    if (!node) {
        context_rollback(FAMILY_NAMED, context);
        context_count_bare(FAMILY_NAMED, BARE_MEMORY);
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
    count(&hook->carried);
    return true;
}

/*
 * The compiler may know that the function leaves these registers alone and use them again for its
 * next call: they hold the program's own values when the function returns (SURFACE_CPP A2.4).
 */
static void put_back_arguments(const struct named_hook *hook, struct thunk_frame *frame,
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

static void *run_call(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                      bool is_slow)
{
    uint64_t *place = frame_argument(frame, hook->spec.cbarg);
    struct record *record = (struct record *)*place, taken;
    struct thread *thread = thread_self;
    uintptr_t chunk = (uintptr_t)record & ~(uintptr_t)(RECORD_CHUNK_SIZE - 1);

    if (!is_slow && (!attach_is_fast(thread) || chunk != (uintptr_t)thread->freed_chunk))
        return NULL;
    taken = record_take(record);
    *place = (uint64_t)taken.data;
    enter(wrap, taken.context);
    return taken.function;
}

static void *run_repeat(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                        bool is_slow)
{
    uint64_t *place = frame_argument(frame, hook->spec.cbarg);
    struct repeat *repeat = (struct repeat *)*place;

    if (!is_slow)
        return NULL;
    *place = (uint64_t)repeat->data;
    wrap->node = repeat;
    repeat_enter(repeat, wrap);
    return repeat->function;
}

/* ---- kind=submit, put, run, get, field: by the object's address ---- */

/* True: done, and *is_kept says whether the object is in the table now. */
static bool keep_object(struct named_hook *hook, uintptr_t key, bool is_slow, bool *is_kept)
{
    struct context *context, *old;

    *is_kept = false;
    if (!is_slow && !capture_is_fast(thread_self))
        return false;
    if (is_slow) {
        context = context_capture(FAMILY_NAMED);
        if (!context)
            return true;
        table_put(hook->spec.pair_id, key, context, hook->spec.is_fifo, true, &old);
        if (old) {
            count(&hook->evicted);
            context_release(old);
        }
        *is_kept = old != context;
    } else {
        /* As context_capture, but undone without a trace when the table has no room at hand. */
        struct thread *thread = thread_self;

        if (table_put(hook->spec.pair_id, key, thread->snap, hook->spec.is_fifo, false, &old) !=
            TABLE_DONE)
            return false;
        if (old)
            return true; /* a signal handler, in the middle of another one's handoff */
        thread->prepaid--;
        thread->tally[FAMILY_NAMED]++;
        *is_kept = true;
    }
    if (*is_kept)
        count(&hook->carried);
    return true;
}

static bool submit_object(struct named_hook *hook, struct thunk_frame *frame, bool is_slow)
{
    uint64_t key = *frame_argument(frame, hook->spec.obj);
    bool is_kept;

    return !key || keep_object(hook, key, is_slow, &is_kept);
}

/* Each function that was seen in the field has a thunk, which knows it: an object that was copied is
 * found by no address, and still runs. */
static bool submit_field(struct named_hook *hook, struct thunk_frame *frame, bool is_slow)
{
    uint64_t object = *frame_argument(frame, hook->spec.obj), key = object;
    void **field = (void **)(object + hook->spec.off);
    unsigned index = 0;
    bool is_kept;

    if (!object || !*field)
        return true;
    if (hook->spec.has_data)
        key = *(const uint64_t *)(object + hook->spec.data);
    if (!key)
        return true;
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
    if (!keep_object(hook, key, is_slow, &is_kept))
        return false;
    if (is_kept && index)
        *field = thunk_address(index, true);
    return true;
}

static void *run_field(struct thunk *thunk, struct thunk_frame *frame, struct wrap *wrap,
                       bool is_slow)
{
    const struct named_hook *hook = thunk->hook;
    uint64_t key = *frame_argument(frame, hook->spec.cbarg);
    void *original = atomic_load_explicit(&thunk->original, memory_order_relaxed);
    struct context *context;

    if (!is_slow && !attach_is_fast(thread_self))
        return NULL;
    context = table_take(hook->spec.pair_id, key);
    if (!context) {
        wrap->stack_words = JUMP;
        return original;
    }
    if (!hook->spec.has_data) { /* else it is not known where the object is: the field stays ours */
        void **field = (void **)(key + hook->spec.off);

        if (*field == thunk_address((unsigned)(thunk - thunks), true))
            *field = original;
    }
    enter(wrap, context);
    return original;
}

static bool run_object(struct named_hook *hook, struct thunk_frame *frame, struct wrap *wrap,
                       bool is_slow)
{
    struct context *context;

    if (!is_slow && !attach_is_fast(thread_self))
        return false;
    context = table_take(hook->spec.pair_id, *frame_argument(frame, hook->spec.obj));
    if (!context) {
        wrap->stack_words = JUMP;
        return true;
    }
    count(&hook->carried);
    enter(wrap, context);
    return true;
}

/* The worker is done with what it took out last, and has its own values while it waits. */
static bool let_go(bool is_slow)
{
    struct thread *thread = thread_self;

    if (!thread->over || (thread->mark & MARK_FLAGS & ~(uintptr_t)MARK_SLOW) != MARK_ADOPTED)
        return true;
    if (!(thread->mark & MARK_SLOW) && thread->depth == 0 && guard_is_clear() &&
        release_is_fast(thread, thread->over)) {
        thread->over = NULL;
        thread->debt--;
        return true;
    }
    if (!is_slow)
        return false;
    scope_leave_adopted(thread);
    return true;
}

/* The item came out: its context stays until this thread's next get. */
static bool adopt(struct named_hook *hook, struct thunk_frame *frame, const struct wrap *wrap,
                  bool is_slow)
{
    uint64_t key;
    struct context *context;
    struct thread *thread = thread_self;

    if (!is_slow && !attach_is_fast(thread))
        return false;
    switch (hook->spec.item_at) {
    case ITEM_RESULT:
    case ITEM_RESULT2:
        key = *frame_result(frame, hook->spec.item_at == ITEM_RESULT2);
        break;
    case ITEM_POINTED:
        key = wrap->theirs[0] ? *(const uint64_t *)wrap->theirs[0] : 0;
        break;
    default:
        key = wrap->theirs[0];
    }
    context = key ? table_take(hook->spec.pair_id, key) : NULL;
    if (!context)
        return true;
    count(&hook->carried);
    if (!scope_try_enter(thread, context, SCOPE_MARK_ADOPTED) && !scope_adopt(context))
        context_release(context);
    return true;
}

unsigned thunk_find(const struct named_hook *hook, enum thunk_role role, const void *original)
{
    unsigned used = atomic_load_explicit(&thunks_used, memory_order_acquire);

    for (unsigned i = NAMED_MAX; i < used; i++) {
        if (thunks[i].hook == hook && thunks[i].role == role &&
            atomic_load_explicit(&thunks[i].original, memory_order_relaxed) == original)
            return i;
    }
    return 0;
}

void named_let_go(void)
{
    let_go(true);
}

/* ---- the thunks ---- */

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
        wrap->stack_words = hook ? hook->spec.stack : (uint64_t)JUMP;
    if (!hook)
        return original;
    switch (hook->spec.kind) {
    case NAMED_CALL:
        is_done = submit_call(hook, frame, wrap, is_slow);
        break;
    case NAMED_SUBMIT:
    case NAMED_PUT:
        is_done = submit_object(hook, frame, is_slow);
        break;
    case NAMED_FIELD:
        is_done = submit_field(hook, frame, is_slow);
        break;
    case NAMED_STDFUNCTION:
        is_done = is_slow;
        if (is_slow)
            function_submit(hook, (struct std_function *)*frame_argument(frame, hook->spec.obj));
        break;
    case NAMED_RUN:
        is_done = !wrap || run_object(hook, frame, wrap, is_slow);
        break;
    case NAMED_GET:
        is_done = let_go(is_slow);
        if (wrap && hook->spec.obj)
            wrap->theirs[0] = *frame_argument(frame, hook->spec.obj);
        break;
    }
    if (!is_done)
        return NULL;
    count(&hook->fired);
    return original;
}

void *thunk_enter(struct thunk_frame *frame, bool is_slow)
{
    int saved_errno = is_slow ? errno : 0;
    void *target = enter_function(&thunks[frame->index], frame, NULL, is_slow);

    if (is_slow)
        errno = saved_errno;
    return target;
}

void *thunk_wrap_enter(struct thunk_frame *frame, struct wrap *wrap, bool is_slow)
{
    struct thunk *thunk = &thunks[frame->index];
    int saved_errno = is_slow ? errno : 0;
    void *target = NULL;

    wrap->thunk = thunk;
    wrap->context = NULL;
    wrap->node = NULL;
    wrap->ours[0] = wrap->theirs[0] = 0;
    wrap->stack_words = thunk->hook ? thunk->hook->spec.stack : (uint64_t)JUMP;
    switch (thunk->role) {
    case THUNK_FUNCTION:
        target = enter_function(thunk, frame, wrap, is_slow);
        break;
    case THUNK_CALL:
        target = run_call(thunk->hook, frame, wrap, is_slow);
        break;
    case THUNK_REPEAT:
        target = run_repeat(thunk->hook, frame, wrap, is_slow);
        break;
    case THUNK_FIELD:
        target = run_field(thunk, frame, wrap, is_slow);
        break;
    case THUNK_STDFUNCTION: {
        uint64_t *place = frame_argument(frame, thunk->hook->spec.cbarg);
        struct function_node *node = **(struct function_node ***)place;

        if (!is_slow && !attach_is_fast(thread_self))
            break;
        *place = (uint64_t)&node->any;
        target = node->invoker;
        enter(wrap, function_context(node));
        break;
    }
    }
    if (is_slow)
        errno = saved_errno;
    return target;
}

bool thunk_wrap_leave(struct thunk_frame *frame, struct wrap *wrap, bool is_slow)
{
    struct thunk *thunk = wrap->thunk;
    int saved_errno = is_slow ? errno : 0;
    bool is_done = true;

    if (thunk->role == THUNK_REPEAT) {
        is_done = is_slow;
        if (is_slow)
            repeat_leave(wrap->node, wrap);
    } else if (thunk->role == THUNK_FUNCTION && thunk->hook->spec.kind == NAMED_CALL) {
        put_back_arguments(thunk->hook, frame, wrap);
    } else if (thunk->role == THUNK_FUNCTION && thunk->hook->spec.kind == NAMED_GET) {
        is_done = adopt(thunk->hook, frame, wrap, is_slow);
    } else {
        is_done = leave(wrap, is_slow);
    }
    if (is_slow)
        errno = saved_errno;
    return is_done;
}
