/*
 * libuv: work for its thread pool, and threads.
 *
 * Ownership: from uv_queue_work to the after-callback the request owns the context (uv_parts.h); the
 * work callback borrows it; the after-callback takes everything out first, because the user's
 * callback may free the request or queue it again. libuv calls it exactly once, also when cancelled.
 */
#include "context/thread.h"
#include "handoffs/inherit.h"
#include "handoffs/uv_parts.h"

typedef void work_callback(struct uv_work_s *);
typedef void after_callback(struct uv_work_s *, int);

static GUARDED void run_work(struct uv_work_s *request)
{
    GUARDED_FRAME();
    struct uv_carried carried = uv_request_look((struct uv_request *)request, true);
    work_callback *work = (work_callback *)carried.function;

    SCOPE_RUN(carried.context, 0, work(request));
}

static GUARDED void run_after(struct uv_work_s *request, int status)
{
    GUARDED_FRAME();
    struct uv_carried carried = uv_request_take(request);
    struct context *context = carried.context;
    after_callback *after = (after_callback *)carried.after;

    if (!after) {
        context_release(context);
        return;
    }
    SCOPE_RUN(context, MARK_OWNED, after(request, status));
}

int hook_uv_queue_work(struct uv_loop_s *loop, struct uv_work_s *request, work_callback *work,
                       after_callback *after)
{
    int error;

    if (unlikely(!work) || !uv_request_capture(FAMILY_UV_WORK, request, (void *)work, (void *)after,
                                               __builtin_return_address(0)))
        return REAL(uv_queue_work)(loop, request, work, after);
    error = REAL(uv_queue_work)(loop, request, run_work, run_after);
    if (unlikely(error))
        uv_request_rollback(FAMILY_UV_WORK, request);
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
