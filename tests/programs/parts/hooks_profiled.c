/* Hands over while a profiler looks at the stack of whatever runs, 4000 times a second of work. */
#define _GNU_SOURCE
#include <execinfo.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/time.h>
#include "hooks_pools.h"

enum { TASKS = 200000 };

pthread_key_t request_key;
static int ran, wrong;
static long samples, frames;

static void on_signal(int number)
{
    void *stack[64];
    __atomic_add_fetch(&frames, backtrace(stack, 64), __ATOMIC_RELAXED);
    __atomic_add_fetch(&samples, 1, __ATOMIC_RELAXED);
}

static void task(void *argument)
{
    if (pthread_getspecific(request_key) != argument)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
    pthread_setspecific(request_key, (void *)90000L);
}

int main(void)
{
    void *stack[4];
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct itimerval often = {{0, 250}, {0, 250}}, never = {{0, 0}, {0, 0}};
    backtrace(stack, 4); /* loads what it needs */
    pthread_key_create(&request_key, NULL);
    call_start(2);
    sigaction(SIGPROF, &action, NULL);
    setitimer(ITIMER_PROF, &often, NULL);
    for (long i = 1; i <= TASKS; i++) {
        pthread_setspecific(request_key, (void *)i);
        call_submit(NULL, task, (void *)i);
    }
    pthread_setspecific(request_key, NULL);
    call_stop();
    setitimer(ITIMER_PROF, &never, NULL);
    printf("ran %d wrong %d%s\n", ran, wrong, samples && frames >= 2 * samples ? ", looked at" : "");
    return wrong != 0;
}
