/*
 * libuv: work for its thread pool, and threads.
 *
 * Ownership: from uv_queue_work to the after-callback the request owns the context (uv.h); the
 * work callback borrows it; the after-callback takes everything out first, because the user's
 * callback may free the request or queue it again. libuv calls it exactly once, also when cancelled.
 */
#include "context/draft.h"
#include "context/fast.h"
#include "context/front_out.h"
#include "context/thread.h"
#include "context/trace.h"
#include "interpose/inherit.h"
#include "families/libuv/uv.h"

typedef void work_callback(struct uv_work_s *);
typedef void after_callback(struct uv_work_s *, int);

/*
 * Requests that keep their record in their own words take the quick trampolines, which read it there, and their
 * slow halves; run_work_any and run_after_any do the same for every request. Only a request that has an
 * after-callback has run_after.
 */
static GUARDED void run_work_any(struct uv_work_s *request)
{
    GUARDED_FRAME();
    struct uv_carried carried = uv_request_look((struct uv_request *)request, true);

    SCOPE_RUN(carried.context, 0, ((work_callback *)carried.function)(request));
}

/* The same for requests that keep their record in their own words, by the doors. */
static GUARDED void run_work_slow(struct uv_work_s *request)
{
    GUARDED_FRAME();
    struct uv_request *words = (struct uv_request *)request;

    SCOPE_RUN(words->reserved[WORD_CONTEXT], 0,
              ((work_callback *)words->reserved[WORD_FUNCTION])(request));
}

static GUARDED void run_work(struct uv_work_s *request)
{
    GUARDED_FRAME();
    struct thread *thread = thread_self;
    struct uv_request *words = (struct uv_request *)request;

    if (unlikely(!thread_is_plain(thread))) {
        run_work_slow(request);
        return;
    }
    SCOPE_RUN_PLAIN(thread, words->reserved[WORD_CONTEXT], 0,
                    ((work_callback *)words->reserved[WORD_FUNCTION])(request));
}

static GUARDED void run_after_any(struct uv_work_s *request, int status)
{
    GUARDED_FRAME();
    struct uv_carried carried = uv_request_take(request);

    if (carried.after)
        SCOPE_RUN(carried.context, FRAME_OWNED, ((after_callback *)carried.after)(request, status));
    else
        context_release_on(thread_self, carried.context);
}

static GUARDED void run_after_slow(struct uv_work_s *request, int status)
{
    GUARDED_FRAME();
    struct uv_request *words = (struct uv_request *)request;

    SCOPE_RUN(words->reserved[WORD_CONTEXT], FRAME_OWNED,
              ((after_callback *)words->reserved[WORD_AFTER])(request, status));
}

static GUARDED void run_after(struct uv_work_s *request, int status)
{
    GUARDED_FRAME();
    struct thread *thread = thread_self;
    struct uv_request *words = (struct uv_request *)request;

    if (unlikely(!thread_is_plain(thread))) {
        run_after_slow(request, status);
        return;
    }
    SCOPE_RUN_PLAIN(thread, words->reserved[WORD_CONTEXT], FRAME_OWNED,
                    ((after_callback *)words->reserved[WORD_AFTER])(request, status));
}

/* The same where plain words are carried too, for any shape of them or one (words_move.h). */
static inline __attribute__((always_inline)) void work_in_words(unsigned shape,
                                                                struct uv_work_s *request)
{
    struct thread *thread = thread_self;
    struct uv_request *words = (struct uv_request *)request;

    if (unlikely(!thread_is_words_only(thread))) {
        run_work_slow(request);
        return;
    }
    SCOPE_RUN_WORDS(shape, thread, words->reserved[WORD_CONTEXT], 0,
                    ((work_callback *)words->reserved[WORD_FUNCTION])(request));
}

static inline __attribute__((always_inline)) void
after_in_words(unsigned shape, struct uv_work_s *request, int status)
{
    struct thread *thread = thread_self;
    struct uv_request *words = (struct uv_request *)request;

    if (unlikely(!thread_is_words_only(thread))) {
        run_after_slow(request, status);
        return;
    }
    SCOPE_RUN_WORDS(shape, thread, words->reserved[WORD_CONTEXT], FRAME_OWNED,
                    ((after_callback *)words->reserved[WORD_AFTER])(request, status));
}

/* The same where one word is carried that functions get and put, in any of its forms (slots/moves.h). */
static inline __attribute__((always_inline)) void work_in_word(enum slot_word_form form,
                                                               struct uv_work_s *request)
{
    struct thread *thread = thread_self;
    struct uv_request *words = (struct uv_request *)request;
    struct context *context = words->reserved[WORD_CONTEXT];

    if (unlikely(!thread_is_word_only(thread) || !scope_may_enter_word(form, context))) {
        run_work_slow(request);
        return;
    }
    SCOPE_RUN_WORD(form, thread, context, 0,
                   ((work_callback *)words->reserved[WORD_FUNCTION])(request));
}

static inline __attribute__((always_inline)) void
after_in_word(enum slot_word_form form, struct uv_work_s *request, int status)
{
    struct thread *thread = thread_self;
    struct uv_request *words = (struct uv_request *)request;

    if (unlikely(!thread_is_word_only(thread) ||
                 !scope_may_enter_word(form, words->reserved[WORD_CONTEXT]))) {
        run_after_slow(request, status);
        return;
    }
    SCOPE_RUN_WORD(form, thread, words->reserved[WORD_CONTEXT], FRAME_OWNED,
                   ((after_callback *)words->reserved[WORD_AFTER])(request, status));
}

/* The same where a pair of the program's functions gets and sets it. */
static GUARDED void run_work_pair(struct uv_work_s *request)
{
    GUARDED_FRAME_BY(baton_pair_personality);
    struct uv_request *words = (struct uv_request *)request;

    SCOPE_RUN_PAIR(thread_self, (struct context **)&words->reserved[WORD_CONTEXT], 0,
                   ((work_callback *)words->reserved[WORD_FUNCTION])(request));
}

static GUARDED void run_after_pair(struct uv_work_s *request, int status)
{
    GUARDED_FRAME_BY(baton_pair_personality);
    struct uv_request *words = (struct uv_request *)request;

    SCOPE_RUN_PAIR(thread_self, (struct context **)&words->reserved[WORD_CONTEXT], FRAME_OWNED,
                   ((after_callback *)words->reserved[WORD_AFTER])(request, status));
}

/* The same where a trace is written. */
static GUARDED void run_work_traced(struct uv_work_s *request)
{
    GUARDED_FRAME();
    struct thread *thread = thread_self;
    struct uv_request *words = (struct uv_request *)request;
    struct context *context = words->reserved[WORD_CONTEXT];
    uint64_t *record;

    if (unlikely(!trace_may_run(thread, context, &record))) {
        run_work_slow(request);
        return;
    }
    SCOPE_RUN_TRACED(thread, context, record, 0,
                     ((work_callback *)words->reserved[WORD_FUNCTION])(request));
}

static GUARDED void run_after_traced(struct uv_work_s *request, int status)
{
    GUARDED_FRAME();
    struct thread *thread = thread_self;
    struct uv_request *words = (struct uv_request *)request;
    struct context *context = words->reserved[WORD_CONTEXT];
    uint64_t *record;

    if (unlikely(!trace_may_run(thread, context, &record))) {
        run_after_slow(request, status);
        return;
    }
    SCOPE_RUN_TRACED(thread, context, record, FRAME_OWNED,
                     ((after_callback *)words->reserved[WORD_AFTER])(request, status));
}

/* Jumped to by the hooks, so its caller is theirs. */
static APART int queue_any(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                           after_callback *after)
{
    int error;

    if (!work || !uv_request_capture(FAMILY_UV_WORK, request, (void *)work, (void *)after,
                                     __builtin_return_address(0)))
        return REAL(uv_queue_work)(loop, request, work, after);
    error = uv_has_words(__builtin_return_address(0)) && after
                ? REAL(uv_queue_work)(loop, request, run_work, run_after)
                : REAL(uv_queue_work)(loop, request, run_work_any, run_after_any);
    if (error)
        uv_request_rollback(FAMILY_UV_WORK, request);
    return error;
}

/* The slow half of the next: where requests have words to spare and the real function is known. */
static APART int queue_slow(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                            after_callback *after)
{
    struct uv_request *words = (struct uv_request *)request;
    struct context *context;

    if (unlikely(!work || !after))
        return queue_any(loop, request, work, after);
    if (!(context = context_try_batch(thread_self, FAMILY_UV_WORK)) &&
        !(context = context_capture_slow(FAMILY_UV_WORK)))
        return REAL_KNOWN(uv_queue_work)(loop, request, work, after);
    words->reserved[WORD_FUNCTION] = (void *)work;
    words->reserved[WORD_AFTER] = (void *)after;
    words->reserved[WORD_CONTEXT] = context;
    return REAL_KNOWN(uv_queue_work)(loop, request, run_work, run_after);
}

/* The same where a value has changed since the last handoff, and nothing need be called. */
static APART int queue_changed(struct uv_loop_s *loop, struct uv_work_s *request,
                               work_callback *work, after_callback *after)
{
    struct uv_request *words = (struct uv_request *)request;
    struct context *context = draft_try(thread_self, FAMILY_UV_WORK);

    if (unlikely(!context))
        return queue_slow(loop, request, work, after);
    words->reserved[WORD_FUNCTION] = (void *)work;
    words->reserved[WORD_AFTER] = (void *)after;
    words->reserved[WORD_CONTEXT] = context;
    return REAL_KNOWN(uv_queue_work)(loop, request, run_work, run_after);
}

/*
 * Where the jump leads once it is known that requests have words to spare and where the real function
 * is. It goes there by a jump, because that fails for a missing work callback only.
 */
static int queue_in_words(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                          after_callback *after)
{
    struct uv_request *words = (struct uv_request *)request;
    struct context *context;

    __asm__("" : "+r"(loop)); /* or the compiler keeps it elsewhere for the call that is not made */
    if (unlikely(!work || !after))
        return queue_slow(loop, request, work, after);
    if (unlikely(!(context = context_try_capture(FAMILY_UV_WORK))))
        return queue_changed(loop, request, work, after);
    words->reserved[WORD_FUNCTION] = (void *)work;
    words->reserved[WORD_AFTER] = (void *)after;
    words->reserved[WORD_CONTEXT] = context;
    return REAL_KNOWN(uv_queue_work)(loop, request, run_work, run_after);
}

static inline __attribute__((always_inline)) int
queue_with_words(unsigned shape, struct uv_loop_s *loop, struct uv_work_s *request,
                 work_callback *work, after_callback *after, work_callback *run,
                 after_callback *run_last)
{
    struct uv_request *words = (struct uv_request *)request;
    struct thread *thread = thread_self;
    struct context *context;

    __asm__("" : "+r"(loop));
    if (unlikely(!work || !after || !(context = context_take_words(thread, shape, FAMILY_UV_WORK))))
        return queue_slow(loop, request, work, after);
    words->reserved[WORD_FUNCTION] = (void *)work;
    words->reserved[WORD_AFTER] = (void *)after;
    words->reserved[WORD_CONTEXT] = context;
    return REAL_KNOWN(uv_queue_work)(loop, request, run, run_last);
}

#define WITH_WORDS(shape)                                                            \
    static GUARDED void run_work_##shape(struct uv_work_s *request)                  \
    {                                                                                \
        GUARDED_FRAME();                                                             \
        work_in_words(shape, request);                                               \
    }                                                                                \
    static GUARDED void run_after_##shape(struct uv_work_s *request, int status)     \
    {                                                                                \
        GUARDED_FRAME();                                                             \
        after_in_words(shape, request, status);                                      \
    }                                                                                \
    static int queue_##shape(struct uv_loop_s *loop, struct uv_work_s *request,      \
                             work_callback *work, after_callback *after)             \
    {                                                                                \
        return queue_with_words(shape, loop, request, work, after, run_work_##shape, \
                                run_after_##shape);                                  \
    }
WITH_WORDS(0)
#ifdef ARCH_MOVES_WORDS
#define SHAPES(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
SHAPES(WITH_WORDS)
_Static_assert(WORDS_FEW_MAX == 11, "each shape has its functions");
#else
#define SHAPES(X)
#endif

/* Not a table of pointers: the loader would have to write it at every start of every program. */
static void *queue_for_words(void)
{
#define SHAPE_CASE(shape) \
    case shape:           \
        return queue_##shape;
    switch (words_shape) {
        SHAPES(SHAPE_CASE)
    default:
        return queue_0;
    }
}

static int queue_by_ways(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                         after_callback *after);

enum { NO_WORD = -1 };

/* FORM: of the one word that is carried, which functions get and put; NO_WORD: the few instructions in line never hold. */
static inline __attribute__((always_inline)) int
queue_by_way(int form, struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
             after_callback *after, work_callback *run, after_callback *run_last)
{
    struct uv_request *words = (struct uv_request *)request;
    struct context *context;

    if (unlikely(!work || !after))
        return queue_slow(loop, request, work, after);
    words->reserved[WORD_FUNCTION] = (void *)work; /* first: then no register has to keep them */
    words->reserved[WORD_AFTER] = (void *)after;
    __asm__("" ::: "memory");
    context = form != NO_WORD
                  ? context_take_word((enum slot_word_form)form, thread_self, FAMILY_UV_WORK)
                  : context_capture_slow(FAMILY_UV_WORK);
    if (unlikely(!context)) {
        work = (work_callback *)words->reserved[WORD_FUNCTION];
        after = (after_callback *)words->reserved[WORD_AFTER];
        return form != NO_WORD ? queue_by_ways(loop, request, work, after)
                               : REAL_KNOWN(uv_queue_work)(loop, request, work, after);
    }
    words->reserved[WORD_CONTEXT] = context;
    return REAL_KNOWN(uv_queue_work)(loop, request, run, run_last);
}

#define WITH_WORD(form, name)                                                                     \
    static GUARDED void run_work_##name(struct uv_work_s *request)                                \
    {                                                                                             \
        GUARDED_FRAME();                                                                          \
        work_in_word(form, request);                                                              \
    }                                                                                             \
    static GUARDED void run_after_##name(struct uv_work_s *request, int status)                   \
    {                                                                                             \
        GUARDED_FRAME();                                                                          \
        after_in_word(form, request, status);                                                     \
    }                                                                                             \
    static int queue_with_##name(struct uv_loop_s *loop, struct uv_work_s *request,               \
                                 work_callback *work, after_callback *after)                      \
    {                                                                                             \
        return queue_by_way(form, loop, request, work, after, run_work_##name, run_after_##name); \
    }
WITH_WORD(WORD_ONE, word)
WITH_WORD(WORD_WIDE, wide)
WITH_WORD(WORD_NONE, none)

static void *queue_for_word(void)
{
    return slots_word.form == WORD_ONE    ? (void *)queue_with_word
           : slots_word.form == WORD_WIDE ? (void *)queue_with_wide
                                          : (void *)queue_with_none;
}

/* Their trampolines are the slow halves. */
static int queue_by_ways(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                         after_callback *after)
{
    return queue_by_way(NO_WORD, loop, request, work, after, run_work_slow, run_after_slow);
}

static int queue_with_pair(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                           after_callback *after)
{
    return queue_by_way(NO_WORD, loop, request, work, after, run_work_pair, run_after_pair);
}

/* The same where only captures need it. */
static int queue_within_limits(struct uv_loop_s *loop, struct uv_work_s *request,
                               work_callback *work, after_callback *after)
{
    return queue_by_way(NO_WORD, loop, request, work, after, run_work, run_after);
}

/* Where the jump leads past what notes the call: it is noted here. Both are jumped to, so their caller is the program's. */
static APART int queue_noted(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                             after_callback *after)
{
    hook_call.site = __builtin_return_address(0);
    hook_call.id = HOOK_uv_queue_work;
    return queue_slow(loop, request, work, after);
}

static int queue_traced(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                        after_callback *after)
{
    struct uv_request *words = (struct uv_request *)request;
    struct context *context;

    if (unlikely(!work || !after))
        return queue_noted(loop, request, work, after);
    words->reserved[WORD_FUNCTION] = (void *)work; /* first: then no register has to keep them */
    words->reserved[WORD_AFTER] = (void *)after;
    __asm__("" ::: "memory");
    context = trace_capture(FAMILY_UV_WORK, HOOK_uv_queue_work, __builtin_return_address(0));
    if (unlikely(!context))
        return queue_noted(loop, request, (work_callback *)words->reserved[WORD_FUNCTION],
                           (after_callback *)words->reserved[WORD_AFTER]);
    words->reserved[WORD_CONTEXT] = context;
    return REAL_KNOWN(uv_queue_work)(loop, request, run_work_traced, run_after_traced);
}

/* Where the jump leads from the second call on. */
static void *queue_now(void)
{
    return observer_traces            ? (void *)queue_traced
           : guard_is_for_words()     ? queue_for_words()
           : guard_is_for_word()      ? queue_for_word()
           : guard_is_for_pair()      ? (void *)queue_with_pair
           : context_attaches_by_ways ? (void *)queue_by_ways
           : context_captures_by_ways ? (void *)queue_within_limits
                                      : (void *)queue_in_words;
}

int hook_uv_queue_work(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                       after_callback *after)
{
    /* Only the library that came with the program: a later one may be of another version. */
    if (!uv_has_words(__builtin_return_address(0)) || !REAL_KNOWN(uv_queue_work))
        return queue_any(loop, request, work, after);
    if (!hooks_are_seen || observer_traces)
        __atomic_store_n(&hook_enter[HOOK_uv_queue_work], queue_now(), __ATOMIC_RELEASE);
    return queue_slow(loop, request, work, after);
}

/* ---- threads ---- */

static GUARDED void run_thread(void *arg)
{
    GUARDED_FRAME();
    struct thread *self = arg;

    START_RUN(self, ((void (*)(void *))self->start.function)(self->start.data));
}

int hook_uv_thread_create(unsigned long *thread, void (*entry)(void *), void *arg)
{
    struct thread *started = NULL;
    int error;

    if (entry && creator_inherits(__builtin_return_address(0)))
        started = start_capture(FAMILY_UV_THREAD, (void *)entry, arg);
    if (!started)
        return REAL(uv_thread_create)(thread, entry, arg);
    error = REAL(uv_thread_create)(thread, run_thread, started);
    return error ? start_rollback(FAMILY_UV_THREAD, started, error) : 0;
}

int hook_uv_thread_create_ex(unsigned long *thread, const struct uv_thread_options_s *options,
                             void (*entry)(void *), void *arg)
{
    struct thread *started = NULL;
    int error;

    if (entry && creator_inherits(__builtin_return_address(0)))
        started = start_capture(FAMILY_UV_THREAD, (void *)entry, arg);
    if (!started)
        return REAL(uv_thread_create_ex)(thread, options, entry, arg);
    error = REAL(uv_thread_create_ex)(thread, options, run_thread, started);
    return error ? start_rollback(FAMILY_UV_THREAD, started, error) : 0;
}
