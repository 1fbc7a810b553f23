// A worker that looks for work all the time and never waits; nor does who hands over.
// flags: -g -O0
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>

enum { REQUESTS = 100 };

__thread intptr_t current_request;

static struct {
    void (*run)(void *data);
    void *data;
} jobs[REQUESTS];
static int put, done, right;

__attribute__((noinline)) void submit(void (*run)(void *data), void *data)
{
    jobs[put].run = run;
    jobs[put].data = data;
    __atomic_store_n(&put, put + 1, __ATOMIC_RELEASE);
}

static void *spin(void *unused)
{
    for (int i = 0; i < REQUESTS; i++) {
        while (__atomic_load_n(&put, __ATOMIC_ACQUIRE) == i)
            sched_yield();
        jobs[i].run(jobs[i].data);
        __atomic_store_n(&done, i + 1, __ATOMIC_RELEASE);
    }
    return unused;
}

static void look(void *data)
{
    right += current_request == (intptr_t)data;
}

int main(void)
{
    pthread_t thread;

    pthread_create(&thread, NULL, spin, NULL);
    for (intptr_t request = 1; request <= REQUESTS; request++) {
        current_request = request;
        submit(look, (void *)request);
        current_request = 0;
        while (__atomic_load_n(&done, __ATOMIC_ACQUIRE) < request)
            sched_yield();
    }
    pthread_join(thread, NULL);
    printf("right %d wrong %d\n", right, REQUESTS - right);
    return 0;
}
