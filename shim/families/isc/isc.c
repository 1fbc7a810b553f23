/*
 * BIND's libisc from 9.20 on: jobs of its event loops, and work for the threads that each loop has beside it. Both callbacks
 * of an offload see the values of the one who offloaded it.
 *
 * A loop is woken by one uv_async_send for many jobs, so what libuv's row carries is the first one's: each job brings its own.
 * Ownership: an offload's work borrows the context; what comes after it takes everything out first.
 * Source: BIND 9.20.30, work.h. What comes after runs once, also when the work was cancelled; it is a job of libisc's own,
 * which passes through. Before it had lanes, isc_work_enqueue was (loop, work, after, data), by uv_queue_work: that one is
 * known by its second argument and left to libuv's row.
 */
#include "families/handoff.h"
#include "interpose/reentry.h"

typedef unsigned work_callback(void *data);
typedef void after_callback(void *data, unsigned result);
typedef void job_callback(void *data);

enum { LANES_MAX = 4096 }; /* no function lies below it */

struct offload {
    work_callback *work;
    after_callback *after;
    void *data;
    struct context *context; /* one reference */
};

static struct library_place isc_place;

static GUARDED unsigned run_work(void *arg)
{
    GUARDED_FRAME();
    struct offload *offload = arg;
    unsigned result;

    SCOPE_RUN(offload->context, 0, result = offload->work(offload->data));
    return result;
}

static GUARDED void run_after(void *arg, unsigned result)
{
    GUARDED_FRAME();
    struct offload taken = *(struct offload *)arg;

    handoff_free(arg, sizeof taken);
    SCOPE_RUN(taken.context, FRAME_OWNED, taken.after(taken.data, result));
}

static struct offload *capture(work_callback *work, after_callback *after, void *data)
{
    struct context *context = context_capture(FAMILY_ISC);
    struct offload *offload;

    if (!context)
        return NULL;
    offload = handoff_alloc(sizeof *offload);
    if (!offload) {
        context_rollback(FAMILY_ISC, context);
        context_count_bare(FAMILY_ISC, BARE_MEMORY);
        return NULL;
    }
    *offload = (struct offload){work, after, data, context};
    return offload;
}

struct isc_work *hook_isc_work_enqueue(struct isc_loop *loop, unsigned long lane,
                                       work_callback *work, after_callback *after, void *data)
{
    struct offload *offload = lane < LANES_MAX && work && after ? capture(work, after, data) : NULL;

    if (!offload)
        return REAL(isc_work_enqueue)(loop, lane, work, after, data);
    return REAL(isc_work_enqueue)(loop, lane, run_work, run_after, offload);
}

static GUARDED void run_job(void *arg)
{
    GUARDED_FRAME();
    struct record taken = record_take(arg);

    SCOPE_RUN(taken.context, FRAME_OWNED, ((job_callback *)taken.function)(taken.data));
}

void hook_isc_async_run(struct isc_loop *loop, job_callback *job, void *data)
{
    struct record *record = NULL;

    if (job &&
        !caller_is_reentrant(&isc_place, (void *)REAL(isc_async_run), __builtin_return_address(0)))
        record = record_capture(FAMILY_ISC, (void *)job, data);
    if (record)
        REAL(isc_async_run)(loop, run_job, record);
    else
        REAL(isc_async_run)(loop, job, data);
}
