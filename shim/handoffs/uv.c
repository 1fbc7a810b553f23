/*
 * libuv: work for its thread pool, and threads.
 *
 * A request carries its own record: uv_req_t has six words that libuv keeps for itself and touches
 * nowhere (read in 1.44.2 and in later sources; uv_init macros do not clear them). They are private,
 * hence only for versions known to leave them alone.
 *
 * Ownership: from uv_queue_work to the after-callback the request owns the context; the work
 * callback borrows it; the after-callback takes everything out first, because the user's callback
 * may free the request or queue it again. libuv calls it exactly once, also when cancelled.
 */
#include "context/thread.h"
#include "handoffs/handoff.h"
#include "handoffs/inherit.h"

/* The head that all requests share (UV_REQ_FIELDS); tests/unit/prototypes compares it with uv.h. */
struct uv_work_s {
    void *data;
    int type;
    void *reserved[6];
};

typedef void work_callback(struct uv_work_s *);
typedef void after_callback(struct uv_work_s *, int);

enum { WORD_WORK = 3, WORD_AFTER = 4, WORD_CONTEXT = 5 };

static GUARDED void run_work(struct uv_work_s *request)
{
    GUARDED_FRAME();
    work_callback *work = (work_callback *)request->reserved[WORD_WORK];

    SCOPE_RUN(request->reserved[WORD_CONTEXT], 0, work(request));
}

static GUARDED void run_after(struct uv_work_s *request, int status)
{
    GUARDED_FRAME();
    struct context *context = request->reserved[WORD_CONTEXT];
    after_callback *after = (after_callback *)request->reserved[WORD_AFTER];

    if (!after) {
        context_release(context);
        return;
    }
    SCOPE_RUN(context, MARK_OWNED, after(request, status));
}

int hook_uv_queue_work(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                       after_callback *after)
{
    struct context *context;
    int error;

    if (unlikely(!work) || !(context = context_capture(FAMILY_UV_WORK)))
        return REAL(uv_queue_work)(loop, request, work, after);
    request->reserved[WORD_WORK] = (void *)work;
    request->reserved[WORD_AFTER] = (void *)after;
    request->reserved[WORD_CONTEXT] = context;
    error = REAL(uv_queue_work)(loop, request, run_work, run_after);
    if (unlikely(error))
        context_rollback(FAMILY_UV_WORK, context);
    return error;
}

/* ---- threads ---- */

static GUARDED void run_thread(void *arg)
{
    GUARDED_FRAME();
    struct record record = record_take(arg);
    void (*entry)(void *) = (void (*)(void *))record.function;

    thread_enter_kind(true);
    SCOPE_RUN(record.context, MARK_OWNED | MARK_THREAD, entry(record.data));
    thread_leave(thread_self);
}

int hook_uv_thread_create(unsigned long *thread, void (*entry)(void *), void *arg)
{
    struct record *record = NULL;
    int error;

    if (entry && thread_inherits(__builtin_return_address(0)))
        record = record_capture(FAMILY_UV_THREAD, (void *)entry, arg);
    if (!record)
        return REAL(uv_thread_create)(thread, entry, arg);
    error = REAL(uv_thread_create)(thread, run_thread, record);
    if (unlikely(error))
        record_rollback(FAMILY_UV_THREAD, record);
    return error;
}

int hook_uv_thread_create_ex(unsigned long *thread, const struct uv_thread_options_s *options,
                             void (*entry)(void *), void *arg)
{
    struct record *record = NULL;
    int error;

    if (entry && thread_inherits(__builtin_return_address(0)))
        record = record_capture(FAMILY_UV_THREAD, (void *)entry, arg);
    if (!record)
        return REAL(uv_thread_create_ex)(thread, options, entry, arg);
    error = REAL(uv_thread_create_ex)(thread, options, run_thread, record);
    if (unlikely(error))
        record_rollback(FAMILY_UV_THREAD, record);
    return error;
}
