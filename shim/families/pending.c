/* See pending.h. The lock guards the list and the tasks' states, never foreign code. */
#include "families/fork.h"
#include "families/pending.h"

#include "base/lock.h"

static struct lock tasks_lock;
static struct pending_task *tasks;
static unsigned cancels;

/* Under the lock. */
static void unlink_task(struct pending_task *task)
{
    task->is_taken = true;
    if (task->previous)
        task->previous->next = task->next;
    else
        tasks = task->next;
    if (task->next)
        task->next->previous = task->previous;
}

struct pending_task *pending_new(enum family family, void *function, void *data, const void *pool,
                                 const void *owner)
{
    struct context *context = context_capture(family);
    struct pending_task *task;

    if (!context)
        return NULL;
    task = handoff_alloc(sizeof *task);
    if (!task) {
        context_rollback(family, context);
        context_count_bare(family, BARE_MEMORY);
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

void pending_pushed(enum family family, struct pending_task *task, const void *owner,
                    bool is_refused)
{
    bool is_taken;

    lock_take(&tasks_lock);
    is_taken = task->is_taken;
    task->is_queued = true;
    task->owner = owner;
    if (!is_taken && is_refused)
        unlink_task(task);
    lock_drop(&tasks_lock);
    if (!is_taken && is_refused)
        context_rollback(family, task->context);
    if (is_taken || is_refused)
        handoff_free(task, sizeof *task);
}

struct pending_task pending_take(struct pending_task *task)
{
    struct pending_task taken = *task;
    bool is_last;

    lock_take(&tasks_lock);
    unlink_task(task);
    is_last = task->is_queued;
    lock_drop(&tasks_lock);
    if (is_last) /* else the push, which has not returned yet, frees it */
        handoff_free(task, sizeof *task);
    return taken;
}

unsigned pending_cancel_begin(const void *pool, const void *owner)
{
    unsigned cancel;

    lock_take(&tasks_lock);
    cancel = ++cancels;
    for (struct pending_task *task = tasks; task; task = task->next) {
        if (task->is_queued && (!pool || task->pool == pool) && (!owner || task->owner == owner))
            task->seen = cancel;
    }
    lock_drop(&tasks_lock);
    return cancel;
}

void pending_cancel_end(unsigned cancel)
{
    struct pending_task *dropped = NULL, *next;

    lock_take(&tasks_lock);
    for (struct pending_task *task = tasks; task; task = next) {
        next = task->next;
        if (task->seen == cancel) {
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
}

void pending_fork_lock(void)
{
    lock_take_for_fork(&tasks_lock);
}

void pending_fork_unlock(void)
{
    lock_drop_after_fork(&tasks_lock);
}
