/*
 * APR: threads, and apr-util's thread pool whole.
 *
 * A pool task is in a list (pending.h) until it runs, because what is cancelled, or left when the pool
 * is destroyed (which cancels by our hook), is dropped by apr-util without a word: a task that was
 * queued before tasks_cancel and has not begun when it returns will never run. Owners stay the
 * program's own pointers.
 *
 * Source: apr-util 1.6.3, apr_thread_pool.c. Pushing that answers an error has queued the task all
 * the same (only a new thread failed), but for APR_ENOMEM of the task itself, which cannot be told
 * from a thread's, and APR_NOTFOUND, when the pool has ended: only that one takes a record back.
 */
#include "context/thread.h"
#include "interpose/inherit.h"
#include "families/pending.h"

typedef void *apr_function(struct apr_thread_t *, void *);

enum { APR_NOTFOUND = 20015 };

/* ---- threads ---- */

static GUARDED void *run_thread(struct apr_thread_t *thread, void *arg)
{
    GUARDED_FRAME();
    struct thread *self = arg;
    void *result;

    START_RUN(self, result = ((apr_function *)self->start.function)(thread, self->start.data));
    return result;
}

/* apr-util starts its workers through this: they are no threads of the program. */
int hook_apr_thread_create(struct apr_thread_t **thread, struct apr_threadattr_t *attributes,
                           apr_function *function, void *data, struct apr_pool_t *pool)
{
    struct thread *started = NULL;
    int error;

    if (function && creator_inherits(__builtin_return_address(0)))
        started = start_capture(FAMILY_APR, (void *)function, data);
    if (!started)
        return REAL(apr_thread_create)(thread, attributes, function, data, pool);
    error = REAL(apr_thread_create)(thread, attributes, run_thread, started, pool);
    return error ? start_rollback(FAMILY_APR, started, error) : 0;
}

/* ---- the thread pool ---- */

static GUARDED void *run_task(struct apr_thread_t *thread, void *arg)
{
    GUARDED_FRAME();
    struct pending_task task = pending_take(arg);
    void *result;

    SCOPE_RUN(task.context, FRAME_OWNED,
              result = ((apr_function *)task.function)(thread, task.data));
    return result;
}

#define PUSH(NAME, how)                                                          \
    do {                                                                         \
        struct pending_task *task = NULL;                                        \
        int error;                                                               \
                                                                                 \
        if (function && pool)                                                    \
            task = pending_new(FAMILY_APR, (void *)function, data, pool, owner); \
        if (!task)                                                               \
            return REAL(NAME)(pool, function, data, how, owner);                 \
        error = REAL(NAME)(pool, run_task, task, how, owner);                    \
        pending_pushed(FAMILY_APR, task, owner, error == APR_NOTFOUND);          \
        return error;                                                            \
    } while (0)

int hook_apr_thread_pool_push(struct apr_thread_pool *pool, apr_function *function, void *data,
                              unsigned char priority, void *owner)
{
    PUSH(apr_thread_pool_push, priority);
}

int hook_apr_thread_pool_top(struct apr_thread_pool *pool, apr_function *function, void *data,
                             unsigned char priority, void *owner)
{
    PUSH(apr_thread_pool_top, priority);
}

int hook_apr_thread_pool_schedule(struct apr_thread_pool *pool, apr_function *function, void *data,
                                  long delay_us, void *owner)
{
    PUSH(apr_thread_pool_schedule, delay_us);
}

/* apr-util calls it by our name when a pool ends, with no owner: all of them. */
int hook_apr_thread_pool_tasks_cancel(struct apr_thread_pool *pool, void *owner)
{
    unsigned cancel = pending_cancel_begin(pool, owner);
    int error = REAL(apr_thread_pool_tasks_cancel)(pool, owner);

    if (error == 0)
        pending_cancel_end(cancel);
    return error;
}
