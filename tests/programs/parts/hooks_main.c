/*
 * Hands tasks to the pools of hooks_pools.c, each with a request of its own, and counts the tasks
 * that saw another one.
 * usage: hooks_main [tls] MODE...   call list ring ring_into field again fifo
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sched.h>
#include "hooks_pools.h"

enum { TASKS = 1000, WORKERS = 3 };

pthread_key_t request_key;
__thread long request_id; /* what carries the request after the word tls */
static int uses_tls, wrong, ran;

static void set(long value)
{
    if (uses_tls)
        request_id = value;
    else
        pthread_setspecific(request_key, (void *)value);
}

static long get(void)
{
    return uses_tls ? request_id : (long)pthread_getspecific(request_key);
}

static void see(long number)
{
    if (get() != number)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&ran, 1, __ATOMIC_RELEASE);
    set(90000 + number);
}

static void wait_for(int count)
{
    while (__atomic_load_n(&ran, __ATOMIC_ACQUIRE) < count)
        sched_yield();
}

static void see_argument(void *argument)
{
    see((long)argument);
}

static void see_task(struct task *task)
{
    if (task->run != see_task) /* what kind=field stands in is put back first */
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    see(task->number);
    free(task);
}

static struct task *new_task(long number)
{
    struct task *task = malloc(sizeof(*task));
    *task = (struct task){NULL, see_task, number};
    set(number);
    return task;
}

static void mode_call(void)
{
    call_start(WORKERS);
    for (long i = 1; i <= TASKS; i++) {
        set(i);
        call_submit(NULL, see_argument, (void *)i);
    }
    set(0);
    call_stop();
}

static void mode_list(void)
{
    list_start(WORKERS);
    for (long i = 1; i <= TASKS; i++)
        list_submit(NULL, new_task(i));
    set(0);
    list_stop();
}

static void mode_field(void)
{
    field_start(WORKERS);
    for (long i = 1; i <= TASKS; i++)
        field_submit(new_task(i));
    set(0);
    field_stop();
}

static void again_run(struct task *task)
{
    see(task->number);
    if (task->number == TASKS) {
        free(task);
        return;
    }
    set(++task->number);
    field_submit(task);
    set(7);
}

/* A task that hands itself over again. */
static void mode_again(void)
{
    struct task *task = new_task(1);
    task->run = again_run;
    field_start(1);
    field_submit(task);
    set(0);
    wait_for(TASKS);
    field_stop();
}

static int is_into;

static void *ring_worker(void *unused)
{
    for (;;) {
        struct task *task;
        if (is_into)
            ring_get_into((void **)&task);
        else
            task = ring_get();
        if (!task->run)
            return NULL;
        task->run(task);
    }
}

static volatile int gate;
static void *start_ring_worker(void *unused)
{
    while (!gate)
        sched_yield();
    return ring_worker(NULL);
}

static void mode_ring(void)
{
    static struct task end;
    pthread_t threads[WORKERS];
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, ring_worker, NULL);
    for (long i = 1; i <= TASKS; i++) {
        struct task *task = new_task(i);
        while (!ring_put(task))
            sched_yield();
    }
    set(0);
    for (int i = 0; i < WORKERS; i++)
        while (!ring_put(&end))
            sched_yield();
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
}

/* One object that waits in a queue many times, each time with a request of its own. */
static long expected_next = 1;

static void fifo_run(struct task *task)
{
    see(expected_next++);
}

static void mode_fifo(void)
{
    static struct task task = {NULL, fifo_run, 0}, end;
    pthread_t thread;
    for (long i = 1; i <= 50; i++) {
        set(i);
        while (!ring_put(&task))
            sched_yield();
    }
    set(0);
    while (!ring_put(&end))
        sched_yield();
    pthread_create(&thread, NULL, ring_worker, NULL);
    pthread_join(thread, NULL);
}

/* One task waits twice in a queue that is not fifo: the later request counts, once. */
static void once_run(struct task *task)
{
    see(ran ? 0 : 2);
}

static void mode_twice(void)
{
    static struct task task = {NULL, once_run, 0}, end;
    pthread_t thread;
    pthread_create(&thread, NULL, start_ring_worker, NULL);
    for (long i = 1; i <= 2; i++) {
        set(i);
        ring_put(&task);
    }
    set(0);
    ring_put(&end);
    gate = 1;
    pthread_join(thread, NULL);
}

static void mode_maps(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (fgets(line, sizeof(line), maps))
        fputs(line, stdout);
    fclose(maps);
}

static void mode_ring_into(void)
{
    is_into = 1;
    mode_ring();
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } modes[] = {{"call", mode_call},         {"list", mode_list},   {"ring", mode_ring},
                 {"ring_into", mode_ring_into}, {"field", mode_field}, {"again", mode_again},
                 {"fifo", mode_fifo},         {"twice", mode_twice}, {"maps", mode_maps}};
    pthread_key_create(&request_key, NULL);
    uses_tls = argc > 1 && !strcmp(argv[1], "tls");
    for (int i = 1; i < argc; i++)
        for (size_t j = 0; j < sizeof(modes) / sizeof(modes[0]); j++)
            if (!strcmp(argv[i], modes[j].name))
                modes[j].run();
    printf("ran %d wrong %d\n", ran, wrong);
    return wrong != 0;
}
