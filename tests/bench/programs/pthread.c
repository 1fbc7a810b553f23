/* POSIX threads: one thread a task, and the C11 form of the same. */
#include "drive.h"

#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdlib.h>
#include <threads.h>
#include <time.h>

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

/* A notification by a thread: a timer that expires at once, one after the other. */
static sem_t notified;

static void setup_notified(size_t count)
{
    in_flight = count;
    sem_init(&notified, 0, 0);
}

static void run_notified(union sigval value)
{
    drive_task((size_t)value.sival_ptr);
    sem_post(&notified);
}

static void expire(size_t index)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD,
                             .sigev_notify_function = run_notified,
                             .sigev_value = {.sival_ptr = (void *)index}};
    struct itimerspec at_once = {.it_value = {.tv_nsec = 1}};
    timer_t timer;

    if (timer_create(CLOCK_MONOTONIC, &event, &timer) || timer_settime(timer, 0, &at_once, NULL))
        abort();
    while (sem_wait(&notified) && errno == EINTR) {
    }
    timer_delete(timer);
}

const struct way drive_ways[] = {
    {.name = "pthread",
     .setup = setup,
     .submit = create_and_join,
     .nest = create_nested,
     .is_timed_by_process = true},
    {.name = "notify", .setup = setup_notified, .submit = expire, .is_timed_by_process = true},
    {.name = "thrd", .setup = setup, .submit = create_and_join_c11, .is_timed_by_process = true},
    {0},
};
