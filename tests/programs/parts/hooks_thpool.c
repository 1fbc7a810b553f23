/* Debian's C-Thread-Pool, compiled in: 1000 tasks, each with a request of its own. */
#include <pthread.h>
#include <stdio.h>
#include "thpool.h"

pthread_key_t request_key;
static int ran, wrong;

static void task(void *number)
{
    if (pthread_getspecific(request_key) != number)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
    pthread_setspecific(request_key, (void *)77);
}

int main(void)
{
    pthread_key_create(&request_key, NULL);
    threadpool pool = thpool_init(3);
    for (long i = 1; i <= 1000; i++) {
        pthread_setspecific(request_key, (void *)i);
        thpool_add_work(pool, task, (void *)i);
    }
    pthread_setspecific(request_key, NULL);
    thpool_wait(pool);
    thpool_destroy(pool);
    printf("ran %d wrong %d\n", ran, wrong);
    return wrong != 0;
}
