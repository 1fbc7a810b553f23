/* See pending.h. The lock guards the list and the tasks' states, never foreign code. */
#include "families/fork.h"
#include "families/pending.h"

#include "base/lock.h"

static struct lock tasks_lock;
static struct waiting *tasks;
static unsigned marks;

/* Under the lock. */
static void unlink_task(struct waiting *task)
{
    task->is_taken = true;
    if (task->previous)
        task->previous->next = task->next;
    else
        tasks = task->next;
    if (task->next)
        task->next->previous = task->previous;
}

struct waiting *waiting_new(enum family family, void *function, void *data, const void *pool,
                            const void *owner)
{
    struct context *context = context_capture(family);
    struct waiting *task;

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

void waiting_pushed(enum family family, struct waiting *task, const void *owner, bool is_refused)
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

struct waiting waiting_take(struct waiting *task)
{
    struct waiting taken = *task;
    bool is_last;

    lock_take(&tasks_lock);
    unlink_task(task);
    is_last = task->is_queued;
    lock_drop(&tasks_lock);
    if (is_last) /* else the push, which has not returned yet, frees it */
        handoff_free(task, sizeof *task);
    return taken;
}

unsigned waiting_mark(const void *pool, const void *owner)
{
    unsigned mark;

    lock_take(&tasks_lock);
    mark = ++marks;
    for (struct waiting *task = tasks; task; task = task->next) {
        if (task->is_queued && (!pool || task->pool == pool) && (!owner || task->owner == owner))
            task->seen = mark;
    }
    lock_drop(&tasks_lock);
    return mark;
}

void waiting_drop(unsigned mark)
{
    struct waiting *dropped = NULL, *next;

    lock_take(&tasks_lock);
    for (struct waiting *task = tasks; task; task = next) {
        next = task->next;
        if (task->seen == mark) {
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

void waiting_fork_lock(void)
{
    lock_take_for_fork(&tasks_lock);
}

void waiting_fork_unlock(void)
{
    lock_drop_after_fork(&tasks_lock);
}
