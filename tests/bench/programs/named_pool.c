/* A home-made pool of one thread in a library of its own: what BATON_HOOKS is for. */
#include "named_pool.h"

#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t there = PTHREAD_COND_INITIALIZER;
static struct named_task *first, **last = &first;

void named_submit(struct named_task *task, void (*function)(void *), void *data)
{
    task->function = function;
    task->data = data;
    named_put(task);
}

void named_put(struct named_task *task)
{
    task->next = NULL;
    pthread_mutex_lock(&lock);
    *last = task;
    last = &task->next;
    pthread_mutex_unlock(&lock);
    pthread_cond_signal(&there);
}

struct named_task *named_get(void)
{
    struct named_task *task;

    pthread_mutex_lock(&lock);
    while (!first)
        pthread_cond_wait(&there, &lock);
    task = first;
    first = task->next;
    if (!first)
        last = &first;
    pthread_mutex_unlock(&lock);
    return task;
}

void named_run(struct named_task *task)
{
    task->function(task->data);
    __asm__ volatile("" ::: "memory");
}
