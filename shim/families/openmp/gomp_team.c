/*
 * libgomp's teams and the tasks that they may discard.
 *
 * A region ends when all of its tasks have run or have been discarded (gomp_team_end waits for
 * them), so nobody can take a loose task out while the rest is let go. The lock guards the list
 * against the region's other threads and is never held around foreign code.
 */
#include "families/openmp/gomp_team.h"

#include "interpose/next.h"

int team_cancels;
__thread struct team *team_current;

bool team_can_cancel(const void *caller)
{
    int known = __atomic_load_n(&team_cancels, __ATOMIC_RELAXED);

    if (unlikely(known == CANCELS_UNKNOWN)) {
        int (*ask)(void) = (int (*)(void))next_find_for("omp_get_cancellation", caller);

        known = ask && ask() ? CANCELS : CANCELS_NOT; /* absent before OpenMP 4.0 */
        __atomic_store_n(&team_cancels, known, __ATOMIC_RELAXED);
    }
    return known == CANCELS;
}

struct loose_task *loose_new(struct context *context)
{
    struct team *team = team_current;
    struct loose_task *task = handoff_alloc(sizeof *task);

    if (!task)
        return NULL;
    task->context = context;
    task->team = team;
    if (team) {
        lock_take(lock_of(team));
        task->next = team->loose;
        if (task->next)
            task->next->previous = task;
        team->loose = task;
        lock_drop(lock_of(team));
    }
    return task;
}

struct loose_task loose_take(struct loose_task *task)
{
    struct team *team = task->team;
    struct loose_task taken;

    if (team) {
        lock_take(lock_of(team));
        if (task->previous)
            task->previous->next = task->next;
        else
            team->loose = task->next;
        if (task->next)
            task->next->previous = task->previous;
        lock_drop(lock_of(team));
    }
    taken = *task;
    handoff_free(task, sizeof *task);
    return taken;
}

void loose_drop_all(struct team *team)
{
    while (team->loose) {
        struct loose_task task = loose_take(team->loose);

        context_release(task.context);
        if (task.block)
            handoff_free(task.block, task.block_size);
    }
}
