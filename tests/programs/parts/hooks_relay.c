/*
 * A pool whose submit function hands on to another one that is named too, and whose worker has inherited a value that
 * it must have again after each task.
 */
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>

enum { TASKS = 1000 };

pthread_key_t request_key;
static struct {
    void (*function)(void *);
    void *argument;
} ring[TASKS];
static sem_t waiting, done;
static long wrong, lost;

__attribute__((noinline)) void inner_submit(void (*function)(void *), void *argument)
{
    static int last;

    ring[last].function = function;
    ring[last++].argument = argument;
    sem_post(&waiting);
}

__attribute__((noinline)) void relay_submit(void (*function)(void *), void *argument)
{
    inner_submit(function, argument);
    __asm__ volatile("" ::: "memory");
}

static void task(void *argument)
{
    wrong += pthread_getspecific(request_key) != argument;
    sem_post(&done);
}

static void *work(void *unused)
{
    (void)unused;
    for (int i = 0; i < TASKS; i++) {
        sem_wait(&waiting);
        ring[i].function(ring[i].argument);
        lost += pthread_getspecific(request_key) != (void *)-1L;
    }
    return NULL;
}

int main(void)
{
    pthread_t worker;

    sem_init(&waiting, 0, 0);
    sem_init(&done, 0, 0);
    pthread_key_create(&request_key, NULL);
    pthread_setspecific(request_key, (void *)-1L);
    pthread_create(&worker, NULL, work, NULL);
    for (long i = 1; i <= TASKS; i++) {
        if (i % 3 == 1) /* several of one context */
            pthread_setspecific(request_key, (void *)i);
        if (i % 2) /* both are believed */
            relay_submit(task, pthread_getspecific(request_key));
        else
            inner_submit(task, pthread_getspecific(request_key));
        sem_wait(&done);
    }
    pthread_join(worker, NULL);
    printf("wrong %ld lost %ld\n", wrong, lost);
    return wrong || lost;
}
