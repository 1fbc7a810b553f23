/*
 * APR: threads, and apr-util's thread pool whole.
 *
 * A pool task is a record in a list until it runs, because what is cancelled, or left when the pool
 * is destroyed (which cancels by our hook), is dropped by apr-util without a word: a task that was
 * queued before tasks_cancel and has not begun when it returns will never run. Owners stay the
 * program's own pointers.
 *
 * Source: apr-util 1.6.3, apr_thread_pool.c. Pushing that answers an error has queued the task all
 * the same (only a new thread failed), but for APR_ENOMEM of the task itself, which cannot be told
 * from a thread's, and APR_NOTFOUND, when the pool has ended: only that one takes a record back.
 */
#include "handoffs/apr.h"

#include "base/lock.h"
#include "context/thread.h"
#include "handoffs/handoff.h"
#include "handoffs/inherit.h"

typedef void *apr_function(struct apr_thread_t *, void *);

enum { APR_NOTFOUND = 20015 };

/* ---- threads ---- */

static GUARDED void *run_thread(struct apr_thread_t *thread, void *arg)
{
    GUARDED_FRAME();
    struct thread *self = arg;
    void *result;

    START_RUN(self, result = ((apr_function *)self->start_function)(thread, self->start_data));
    return result;
}

/* apr-util starts its workers through this: they are no threads of the program. */
int hook_apr_thread_create(struct apr_thread_t **thread, struct apr_threadattr_t *attributes, apr_function *function,
                           void *data, struct apr_pool_t *pool)
{
    struct thread *started = NULL;
    int error;

    if (function && thread_inherits(__builtin_return_address(0)))
        started = start_capture(FAMILY_APR, (void *)function, data);
    if (!started)
        return REAL(apr_thread_create)(thread, attributes, function, data, pool);
    error = REAL(apr_thread_create)(thread, attributes, run_thread, started, pool);
    return error ? start_rollback(FAMILY_APR, started, error) : 0;
}

/* ---- the thread pool ---- */

struct apr_task {
    apr_function *function;
    void *data;
    struct context *context;
    struct apr_thread_pool *pool;
    void *owner;
    bool is_queued;   /* the push has returned: a cancel that begins now will find it */
    bool is_taken;    /* off the list: it runs, or has been dropped */
    unsigned seen;    /* the last cancel that found it waiting */
    struct apr_task *previous, *next;
};

static struct lock tasks_lock;
static struct apr_task *tasks; /* waiting, in all pools */
static unsigned cancels;

/* Under the lock. */
static void unlink_task(struct apr_task *task)
{
    task->is_taken = true;
    if (task->previous)
        task->previous->next = task->next;
    else
        tasks = task->next;
    if (task->next)
        task->next->previous = task->previous;
}

static GUARDED void *run_task(struct apr_thread_t *thread, void *arg)
{
    GUARDED_FRAME();
    struct apr_task *task = arg, taken = *task;
    bool is_last;
    void *result;

    lock_take(&tasks_lock);
    unlink_task(task);
    is_last = task->is_queued;
    lock_drop(&tasks_lock);
    if (is_last) /* else the push, which has not returned yet, frees it */
        handoff_free(task, sizeof *task);
    SCOPE_RUN(taken.context, MARK_OWNED, result = taken.function(thread, taken.data));
    return result;
}

static struct apr_task *task_new(struct apr_thread_pool *pool, apr_function *function, void *data, void *owner)
{
    struct context *context = function && pool ? context_capture(FAMILY_APR) : NULL;
    struct apr_task *task;

    if (!context)
        return NULL;
    task = handoff_alloc(sizeof *task);
    if (!task) {
        context_rollback(FAMILY_APR, context);
        context_count_bare(FAMILY_APR, BARE_MEMORY);
        return NULL;
    }
    task->function = function;
    task->data = data;
    task->context = context;
    task->pool = pool;
    task->owner = owner;
    lock_take(&tasks_lock);
    task->next = tasks;
    if (tasks)
        tasks->previous = task;
    tasks = task;
    lock_drop(&tasks_lock);
    return task;
}

static int task_pushed(struct apr_task *task, int error)
{
    bool is_refused = error == APR_NOTFOUND, is_taken;

    lock_take(&tasks_lock);
    is_taken = task->is_taken;
    task->is_queued = true;
    if (!is_taken && is_refused)
        unlink_task(task);
    lock_drop(&tasks_lock);
    if (!is_taken && is_refused)
        context_rollback(FAMILY_APR, task->context);
    if (is_taken || is_refused)
        handoff_free(task, sizeof *task);
    return error;
}

int hook_apr_thread_pool_push(struct apr_thread_pool *pool, apr_function *function, void *data, unsigned char priority,
                              void *owner)
{
    struct apr_task *task = task_new(pool, function, data, owner);

    if (!task)
        return REAL(apr_thread_pool_push)(pool, function, data, priority, owner);
    return task_pushed(task, REAL(apr_thread_pool_push)(pool, run_task, task, priority, owner));
}

int hook_apr_thread_pool_top(struct apr_thread_pool *pool, apr_function *function, void *data, unsigned char priority,
                             void *owner)
{
    struct apr_task *task = task_new(pool, function, data, owner);

    if (!task)
        return REAL(apr_thread_pool_top)(pool, function, data, priority, owner);
    return task_pushed(task, REAL(apr_thread_pool_top)(pool, run_task, task, priority, owner));
}

int hook_apr_thread_pool_schedule(struct apr_thread_pool *pool, apr_function *function, void *data, long delay_us,
                                  void *owner)
{
    struct apr_task *task = task_new(pool, function, data, owner);

    if (!task)
        return REAL(apr_thread_pool_schedule)(pool, function, data, delay_us, owner);
    return task_pushed(task, REAL(apr_thread_pool_schedule)(pool, run_task, task, delay_us, owner));
}

/* apr-util calls it by our name when a pool ends, with no owner: all of them. */
int hook_apr_thread_pool_tasks_cancel(struct apr_thread_pool *pool, void *owner)
{
    struct apr_task *dropped = NULL, *next;
    unsigned number;
    int error;

    lock_take(&tasks_lock);
    number = ++cancels;
    for (struct apr_task *task = tasks; task; task = task->next) {
        if (task->pool == pool && task->is_queued && (!owner || task->owner == owner))
            task->seen = number;
    }
    lock_drop(&tasks_lock);
    error = REAL(apr_thread_pool_tasks_cancel)(pool, owner);
    lock_take(&tasks_lock);
    for (struct apr_task *task = tasks; error == 0 && task; task = next) {
        next = task->next;
        if (task->pool == pool && task->seen == number) {
            unlink_task(task);
            task->next = dropped;
            dropped = task;
        }
    }
    lock_drop(&tasks_lock);
    for (; dropped; dropped = next) {
        next = dropped->next;
        context_release(dropped->context);
        handoff_free(dropped, sizeof *dropped);
    }
    return error;
}

void apr_fork_lock(void)
{
    lock_take(&tasks_lock);
}

void apr_fork_unlock(void)
{
    lock_drop(&tasks_lock);
}
