/* libgomp: a region of two threads, a queued task, a task that runs at once. */
#include "drive.h"

#include <omp.h>

static size_t in_flight;

static void setup(size_t count)
{
    in_flight = count;
    omp_set_dynamic(0);
}

/* The second thread stands for the handoff: the first keeps its own values anyway. */
static void region(size_t index)
{
#pragma omp parallel num_threads(2)
    {
        if (omp_get_thread_num() == 1)
            drive_task(index);
    }
}

static void nested_region(size_t index)
{
    size_t inner = index + in_flight;

#pragma omp parallel num_threads(2)
    {
        if (omp_get_thread_num() == 0)
            drive_task(inner);
    }
}

static void task(size_t index)
{
#pragma omp task firstprivate(index)
    drive_task(index);
}

static void nested_task(size_t index)
{
    task(index + in_flight);
}

static void wait_for_tasks(void)
{
#pragma omp taskwait
}

/* A team of one queues its tasks (64 at most) and runs them at the taskwait, in order. */
static void in_team_of_one(void (*body)(void))
{
#pragma omp parallel num_threads(1)
    body();
}

const struct way drive_ways[] = {
    {.name = "gomp.parallel",
     .setup = setup,
     .submit = region,
     .nest = nested_region,
     .is_timed_by_process = true},
    {.name = "gomp.task",
     .setup = setup,
     .submit = task,
     .finish = wait_for_tasks,
     .nest = nested_task,
     .around = in_team_of_one,
     .is_same_thread = true},
    {.name = "gomp.undeferred", .setup = setup, .submit = task, .nest = nested_task},
    {0},
};
