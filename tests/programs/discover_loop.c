// A loop that hands blocking work to a worker and goes on with other requests: it is told that the work is done by a
// callback, which needs the request as the work did. What tells it ends in the thread that has handed over, and is no
// answer: that one does not wait for it, and has no request by then.
// usage: discover_loop
// flags: -g
#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <stdio.h>

#include "rest.h"

enum { JOBS = 16, REQUESTS = 40 };

struct queue {
    pthread_mutex_t lock;
    pthread_cond_t wanted;
    struct {
        void (*run)(void *data);
        void *data;
    } jobs[JOBS];
    unsigned first, count;
};

static struct queue work = {.lock = PTHREAD_MUTEX_INITIALIZER, .wanted = PTHREAD_COND_INITIALIZER};
static struct queue loop = {.lock = PTHREAD_MUTEX_INITIALIZER, .wanted = PTHREAD_COND_INITIALIZER};

__thread intptr_t current_request;

static int right, wrong;
static sem_t ended;

__attribute__((noinline)) void give_work(void (*run)(void *), void *data)
{
    pthread_mutex_lock(&work.lock);
    work.jobs[(work.first + work.count) % JOBS].run = run;
    work.jobs[(work.first + work.count++) % JOBS].data = data;
    pthread_cond_signal(&work.wanted);
    pthread_mutex_unlock(&work.lock);
}

__attribute__((noinline)) void tell_loop(void (*run)(void *), void *data)
{
    pthread_mutex_lock(&loop.lock);
    loop.jobs[(loop.first + loop.count) % JOBS].run = run;
    loop.jobs[(loop.first + loop.count++) % JOBS].data = data;
    pthread_cond_signal(&loop.wanted);
    pthread_mutex_unlock(&loop.lock);
}

static void *run_queue(void *arg)
{
    struct queue *queue = arg;

    for (;;) {
        void (*run)(void *);
        void *data;

        pthread_mutex_lock(&queue->lock);
        while (!queue->count)
            pthread_cond_wait(&queue->wanted, &queue->lock);
        run = queue->jobs[queue->first % JOBS].run;
        data = queue->jobs[queue->first++ % JOBS].data;
        queue->count--;
        pthread_mutex_unlock(&queue->lock);
        run(data);
    }
    return NULL;
}

static void begin(void *data);

static void look(intptr_t request)
{
    if (current_request == request)
        right++;
    else
        wrong++;
}

/* In the loop again. */
static void finish(void *data)
{
    look((intptr_t)data);
    current_request = 0;
    if ((intptr_t)data < REQUESTS)
        begin((void *)((intptr_t)data + 1));
    else
        sem_post(&ended);
}

static void block(void *data)
{
    look((intptr_t)data);
    sleep_ms(2); /* the loop waits by then, or has other work */
    tell_loop(finish, data);
}

static void begin(void *data)
{
    current_request = (intptr_t)data;
    give_work(block, data);
    current_request = 0;
}

int main(void)
{
    pthread_t thread;

    sem_init(&ended, 0, 0);
    pthread_create(&thread, NULL, run_queue, &work);
    pthread_create(&thread, NULL, run_queue, &loop);
    let_rest();
    tell_loop(begin, (void *)1);
    sem_wait(&ended);
    printf("right %d wrong %d\n", right, wrong);
    return 0;
}
