/*
 * The model that all peers are timed in: 256 captures under the submitter's values, then 256 times
 * adopt, run a task, restore under the worker's; net of the same loop without them. Single
 * thread, as if the handoff itself cost nothing.
 */
#ifndef BENCH_PEER_H
#define BENCH_PEER_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { PEER_TASKS = 256, PEER_REPEATS = 400 };

static volatile long peer_ran;

__attribute__((noinline)) static void peer_task(void)
{
    peer_ran++;
}

static double peer_now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

static int peer_by_size(const void *left, const void *right)
{
    double a = *(const double *)left, b = *(const double *)right;

    return (a > b) - (a < b);
}

/* Nanoseconds a task of `batch`, the median of many. */
static double peer_time(void (*batch)(void))
{
    static double ns[PEER_REPEATS];

    for (int i = 0; i < PEER_REPEATS; i++) {
        double begin = peer_now_ns();

        batch();
        ns[i] = (peer_now_ns() - begin) / PEER_TASKS;
    }
    qsort(ns, PEER_REPEATS, sizeof(*ns), peer_by_size);
    return ns[PEER_REPEATS / 2];
}

static void peer_bare_batch(void)
{
    for (int i = 0; i < PEER_TASKS; i++)
        peer_task();
}

static void peer_report(const char *name, int k, void (*batch)(void))
{
    double bare = peer_time(peer_bare_batch);

    printf("peer=%s k=%d ns=%.2f\n", name, k, peer_time(batch) - bare);
}

#endif
