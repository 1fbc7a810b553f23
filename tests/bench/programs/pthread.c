/* POSIX threads: one thread a task, and the C11 form of the same. */
#include "drive.h"

#include <pthread.h>
#include <stdlib.h>
#include <threads.h>

static size_t in_flight;

static void setup(size_t count)
{
    in_flight = count;
}

static void *run_task(void *data)
{
    drive_task((size_t)data);
    return NULL;
}

static void create_and_join(size_t index)
{
    pthread_t thread;

    if (pthread_create(&thread, NULL, run_task, (void *)index))
        abort();
    pthread_join(thread, NULL);
}

static void create_nested(size_t index)
{
    create_and_join(index + in_flight);
}

static int run_task_c11(void *data)
{
    drive_task((size_t)data);
    return 0;
}

static void create_and_join_c11(size_t index)
{
    thrd_t thread;

    if (thrd_create(&thread, run_task_c11, (void *)index) != thrd_success)
        abort();
    thrd_join(thread, NULL);
}

const struct way drive_ways[] = {
    {.name = "pthread",
     .setup = setup,
     .submit = create_and_join,
     .nest = create_nested,
     .is_timed_by_process = true},
    {.name = "thrd", .setup = setup, .submit = create_and_join_c11, .is_timed_by_process = true},
    {0},
};
