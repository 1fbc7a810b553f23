// A worker that tells after each task that it is done, which nobody waits for, beside one of its kind that comes when all
// is over, and never waits: that one was handed nothing. Says how many tasks saw their request.
// usage: discover_done
// flags: -g -O2
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "rest.h"

enum { JOBS = 40 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER, finished = PTHREAD_COND_INITIALIZER;
static void (*job)(long request);
static long request;
static int is_over, right, wrong;

__thread long current_request;
__thread char text[32]; /* a buffer of the thread's own, which each task writes */

__attribute__((noinline)) static void task(long of)
{
    snprintf(text, sizeof text, "request %ld", of);
    *(current_request == of ? &right : &wrong) += 1;
}

__attribute__((noinline)) void submit(void (*run)(long request), long of)
{
    pthread_mutex_lock(&lock);
    job = run;
    request = of;
    pthread_cond_signal(&wanted);
    pthread_mutex_unlock(&lock);
}

static void *worker(void *is_late)
{
    while (is_late && !__atomic_load_n(&is_over, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    for (;;) {
        void (*run)(long request);

        pthread_mutex_lock(&lock);
        while (!job && !is_over)
            pthread_cond_wait(&wanted, &lock);
        run = job;
        job = NULL;
        pthread_mutex_unlock(&lock);
        if (!run)
            return NULL;
        run(request);
        pthread_cond_signal(&finished);
    }
}

int main(void)
{
    pthread_t threads[2];

    for (long i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, worker, (void *)i);
    for (long i = 1; i <= JOBS; i++) {
        let_rest();
        current_request = i;
        submit(task, i);
        current_request = 0;
    }
    let_rest();
    pthread_mutex_lock(&lock);
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    pthread_cond_broadcast(&wanted);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    printf("right %d wrong %d\n", right, wrong);
    return wrong != 0;
}
