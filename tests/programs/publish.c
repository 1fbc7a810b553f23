// Workers of a GThreadPool write down which request they serve; who looks from outside compares.
// libs: glib-2.0
// link: -rdynamic
// usage: publish   runs until it is ended
#define _GNU_SOURCE
#include <glib.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

/* What a thread is at: 0: nothing sure; AT_REST: no task. By thread number, for readers outside. */
#define AT_REST UINT64_MAX
struct truth {
    volatile uint64_t tid, number;
} truths[64];

pthread_key_t request_key;
__thread uint64_t request_number;
static gint queued, used;
static __thread struct truth *mine;

static void task(gpointer data, gpointer user)
{
    (void)user;
    if (!mine) {
        mine = &truths[g_atomic_int_add(&used, 1) % 64];
        mine->tid = (uint64_t)gettid();
    }
    mine->number = (uint64_t)(uintptr_t)data;
    for (volatile int i = 0; i < 40000; i++)
        ;
    mine->number = 0;
    g_atomic_int_add(&queued, -1);
}

/* A worker that sleeps is in no task: a task only counts. Stopped by a reader it does not count as sleeping. */
static bool sleeps(uint64_t tid)
{
    char file[64], line[256] = "", *state;
    FILE *stat;

    snprintf(file, sizeof file, "/proc/self/task/%llu/stat", (unsigned long long)tid);
    stat = fopen(file, "r");
    if (stat && fgets(line, sizeof line, stat))
        line[sizeof line - 1] = '\0';
    if (stat)
        fclose(stat);
    state = strrchr(line, ')');
    return state && state[1] && state[2] == 'S';
}

/* All workers have nothing to do for a moment, and say so. */
static void rest(void)
{
    int workers = g_atomic_int_get(&used);

    while (g_atomic_int_get(&queued) > 0)
        g_usleep(200);
    for (int i = 0; i < workers; i++)
        while (!sleeps(truths[i].tid))
            g_usleep(200);
    for (int i = 0; i < workers; i++)
        truths[i].number = AT_REST;
    g_usleep(2000);
    for (int i = 0; i < workers; i++)
        truths[i].number = 0;
}

int main(void)
{
    GThreadPool *pool = g_thread_pool_new(task, NULL, 3, TRUE, NULL);

    pthread_key_create(&request_key, NULL);
    printf("%p\n", (void *)truths);
    fflush(stdout);
    alarm(3600);
    for (uintptr_t i = 1;; i++) {
        while (g_atomic_int_get(&queued) > 100)
            g_usleep(200);
        pthread_setspecific(request_key, (void *)(0x10000 + i));
        request_number = i;
        g_atomic_int_inc(&queued);
        g_thread_pool_push(pool, (gpointer)i, NULL);
        if (i % 300 == 0)
            rest();
    }
}
