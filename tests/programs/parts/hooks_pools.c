/* See hooks_pools.h. Built as a library, as a plugin, and into the program itself. */
#include "hooks_pools.h"
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

/* ---- call ---- */

struct job {
    struct job *next;
    void (*function)(void *);
    void *argument;
};
static pthread_mutex_t job_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t job_there = PTHREAD_COND_INITIALIZER;
static struct job *jobs, **jobs_end = &jobs;
static pthread_t workers_of[3][8];
static int workers_count[3];

static void *call_worker(void *unused)
{
    for (;;) {
        pthread_mutex_lock(&job_lock);
        while (!jobs)
            pthread_cond_wait(&job_there, &job_lock);
        struct job job = *jobs, *done = jobs;
        jobs = jobs->next;
        if (!jobs)
            jobs_end = &jobs;
        pthread_mutex_unlock(&job_lock);
        free(done);
        if (!job.function)
            return NULL;
        job.function(job.argument);
    }
}

static void start(int pool, int workers, void *(*body)(void *))
{
    workers_count[pool] = workers;
    for (int i = 0; i < workers; i++)
        pthread_create(&workers_of[pool][i], NULL, body, NULL);
}

static void join(int pool)
{
    for (int i = 0; i < workers_count[pool]; i++)
        pthread_join(workers_of[pool][i], NULL);
}

void call_start(int workers)
{
    start(0, workers, call_worker);
}

int call_submit(void *pool, void (*function)(void *), void *argument)
{
    struct job *job = malloc(sizeof(*job));
    *job = (struct job){NULL, function, argument};
    pthread_mutex_lock(&job_lock);
    *jobs_end = job;
    jobs_end = &job->next;
    pthread_cond_signal(&job_there);
    pthread_mutex_unlock(&job_lock);
    return 0;
}

void call_stop(void)
{
    for (int i = 0; i < workers_count[0]; i++)
        call_submit(NULL, NULL, NULL);
    join(0);
}

/* ---- list and field ---- */

struct list {
    pthread_mutex_t lock;
    pthread_cond_t there;
    struct task *head, **end;
    int is_closed;
};
static struct list lists[2] = {
    {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &lists[0].head, 0},
    {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, NULL, &lists[1].head, 0},
};

static void append(struct list *list, struct task *task)
{
    pthread_mutex_lock(&list->lock);
    task->next = NULL;
    *list->end = task;
    list->end = &task->next;
    pthread_cond_signal(&list->there);
    pthread_mutex_unlock(&list->lock);
}

static struct task *remove_first(struct list *list)
{
    pthread_mutex_lock(&list->lock);
    while (!list->head && !list->is_closed)
        pthread_cond_wait(&list->there, &list->lock);
    struct task *task = list->head;
    if (task) {
        list->head = task->next;
        if (!list->head)
            list->end = &list->head;
    }
    pthread_mutex_unlock(&list->lock);
    return task;
}

static void close_list(struct list *list)
{
    pthread_mutex_lock(&list->lock);
    list->is_closed = 1;
    pthread_cond_broadcast(&list->there);
    pthread_mutex_unlock(&list->lock);
}

void task_execute(struct task *task)
{
    task->run(task);
    __asm__ volatile("" ::: "memory"); /* no tail call: it is the function that users would name */
}

static void *list_worker(void *unused)
{
    struct task *task;
    while ((task = remove_first(&lists[0])))
        task_execute(task);
    return NULL;
}

void list_start(int workers)
{
    start(1, workers, list_worker);
}

void list_submit(void *list, struct task *task)
{
    append(&lists[0], task);
}

void list_stop(void)
{
    close_list(&lists[0]);
    join(1);
}

static void *field_worker(void *unused)
{
    struct task *task;
    while ((task = remove_first(&lists[1])))
        task->run(task);
    return NULL;
}

void field_start(int workers)
{
    start(2, workers, field_worker);
}

void field_submit(struct task *task)
{
    append(&lists[1], task);
}

void field_stop(void)
{
    close_list(&lists[1]);
    join(2);
}

/* ---- ring: Dmitry Vyukov's bounded queue ---- */

enum { RING = 64 };
static struct {
    atomic_size_t turn;
    void *item;
} ring[RING];
static atomic_size_t ring_in, ring_out;
static atomic_int ring_ready;

static void ring_init(void)
{
    int none = 0;
    if (atomic_compare_exchange_strong(&ring_ready, &none, 1)) {
        for (size_t i = 0; i < RING; i++)
            atomic_store(&ring[i].turn, i);
        atomic_store(&ring_ready, 2);
    }
    while (atomic_load(&ring_ready) != 2)
        sched_yield();
}

int ring_put(void *item)
{
    ring_init();
    size_t place = atomic_load(&ring_in);
    for (;;) {
        size_t turn = atomic_load(&ring[place % RING].turn);
        if (turn < place)
            return 0;
        if (turn == place && atomic_compare_exchange_weak(&ring_in, &place, place + 1))
            break;
        if (turn != place)
            place = atomic_load(&ring_in);
    }
    ring[place % RING].item = item;
    atomic_store(&ring[place % RING].turn, place + 1);
    return 1;
}

void *ring_get(void)
{
    ring_init();
    size_t place = atomic_load(&ring_out);
    for (;;) {
        size_t turn = atomic_load(&ring[place % RING].turn);
        if (turn == place + 1 && atomic_compare_exchange_weak(&ring_out, &place, place + 1))
            break;
        if (turn < place + 1)
            sched_yield();
        place = atomic_load(&ring_out);
    }
    void *item = ring[place % RING].item;
    atomic_store(&ring[place % RING].turn, place + RING);
    return item;
}

int ring_get_into(void **item)
{
    *item = ring_get();
    return 1;
}
