// A server with a pool of its own: one thread-local variable and one key are its context, the rest of what it keeps
// per thread is not. Says how many tasks saw their request.
// usage: discover_pool [REQUESTS [SIGNAL]], by which it ends itself then
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rest.h"

/* -DBUSY=1: one worker, which looks for work when all has been handed over, and never waits; 2: that is woken once, and
 * has all of it then, as it may come beside load. */
#ifndef BUSY
#define BUSY 0
#endif
enum { WORKERS = BUSY ? 1 : 2 };
static int is_all_there;

static void await_all(void)
{
    while (!__atomic_load_n(&is_all_there, __ATOMIC_ACQUIRE))
        sched_yield();
}

/* ---- the pool ---- */

struct job {
    void (*run)(void *arg);
    void *arg;
    struct job *next;
};
static struct job *first_job, **last_job = &first_job;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER, finished = PTHREAD_COND_INITIALIZER;
static int is_done, is_closed;

__attribute__((noinline)) void pool_submit(void (*run)(void *arg), void *arg)
{
    struct job *job = malloc(sizeof *job);
    job->run = run;
    job->arg = arg;
    job->next = NULL;
    pthread_mutex_lock(&lock);
    *last_job = job;
    last_job = &job->next;
#ifdef SIGNAL_LAST /* the compiler makes a jump of it: no stack has this function */
    pthread_mutex_unlock(&lock);
    pthread_cond_signal(&wanted);
#else
    pthread_cond_signal(&wanted);
    pthread_mutex_unlock(&lock);
#endif
}

static void *worker(void *unused)
{
    if (BUSY == 1)
        await_all();
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!first_job && !is_closed)
            pthread_cond_wait(&wanted, &lock);
        struct job *job = first_job;
        if (!job)
            break;
        first_job = job->next;
        if (!first_job)
            last_job = &first_job;
        pthread_mutex_unlock(&lock);
        job->run(job->arg);
        free(job);
        pthread_mutex_lock(&lock);
    }
    pthread_mutex_unlock(&lock);
    return NULL;
}

/* ---- the context ---- */

static __thread long current_request;
static pthread_key_t tenant_key;

__attribute__((noinline)) static void context_set(long request)
{
#ifndef NO_CONTEXT
    current_request = request;
    pthread_setspecific(tenant_key, (void *)(request * 10));
#endif
}

__attribute__((noinline)) static long log_request(void)
{
    return current_request;
}

__attribute__((noinline)) static long log_tenant(void)
{
    return (long)pthread_getspecific(tenant_key);
}

/* ---- what is no context ---- */

static __thread int thread_number;    /* who am I */
static __thread long cached_id;       /* the last that was looked up */
static __thread long cached_answer;
static __thread char *arena;          /* where this thread gets its memory from */
static __thread unsigned long calls;  /* a counter */
static __thread unsigned long random_state;
static __thread int last_error;
static __thread char error_text[32];  /* a buffer as strerror has it */
static pthread_key_t buffer_key, count_key;
static int threads_seen;
static volatile unsigned long sink;

__attribute__((noinline)) static int who_am_i(void)
{
    if (!thread_number)
        thread_number = __atomic_add_fetch(&threads_seen, 1, __ATOMIC_RELAXED);
    return thread_number;
}

__attribute__((noinline)) static long look_up(long id)
{
    if (cached_id != id) {
        cached_answer = id * id + 1;
        cached_id = id;
    }
    return cached_answer;
}

__attribute__((noinline)) static void *arena_take(void)
{
    if (!arena)
        arena = malloc(64);
    return arena;
}

__attribute__((noinline)) static unsigned long next_random(void)
{
    unsigned long x = random_state ? random_state : 88172645463325252ul;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return random_state = x;
}

__attribute__((noinline)) static void went_wrong(int error)
{
    last_error = error;
    snprintf(error_text, sizeof error_text, "error %d", error);
}

__attribute__((noinline)) static int what_went_wrong(void)
{
    return last_error + error_text[0];
}

__attribute__((noinline)) static char *buffer(void)
{
    char *mine = pthread_getspecific(buffer_key);
    if (!mine)
        pthread_setspecific(buffer_key, mine = calloc(1, 64));
    return mine;
}

__attribute__((noinline)) static void count_by_key(void)
{
    pthread_setspecific(count_key, (char *)pthread_getspecific(count_key) + 1);
}

/* What code does all the time, in handlers as in tasks. */
__attribute__((noinline)) static void work(long request)
{
    calls++;
    sink += (unsigned long)who_am_i() + (unsigned long)look_up(request) + (unsigned long)arena_take() + next_random();
    went_wrong((int)(request % 7) + 1);
    sink += (unsigned long)what_went_wrong();
    sprintf(buffer(), "%ld", request);
    count_by_key();
}

/* ---- the server ---- */

static int right, wrong;

static void task(void *arg)
{
    long request = (long)arg;
    if (BUSY == 2)
        await_all();
    work(request);
    long logged = log_request(), tenant = log_tenant();
    if (logged == request && tenant == request * 10)
        right++;
    else
        wrong++;
    if (BUSY)
        return;
    pthread_mutex_lock(&lock);
    is_done = 1;
    pthread_cond_signal(&finished);
    pthread_mutex_unlock(&lock);
}

static void serve(long request)
{
    work(request);
    context_set(request);
    pool_submit(task, (void *)request);
    if (!BUSY) {
        pthread_mutex_lock(&lock);
        while (!is_done)
            pthread_cond_wait(&finished, &lock);
        is_done = 0;
        pthread_mutex_unlock(&lock);
    }
    context_set(0);
}

int main(int argc, char **argv)
{
    int requests = argc > 1 ? atoi(argv[1]) : 40;
    pthread_t threads[WORKERS];

    pthread_key_create(&tenant_key, NULL);
    pthread_key_create(&buffer_key, free);
    pthread_key_create(&count_key, NULL);
    for (int i = 0; i < WORKERS; i++)
        pthread_create(&threads[i], NULL, worker, NULL);
    if (BUSY != 1)
        let_rest(); /* they wait for work before there is any */
    for (long request = 1; request <= requests; request++)
        serve(request);
    __atomic_store_n(&is_all_there, 1, __ATOMIC_RELEASE);
    if (argc > 2)
        raise(atoi(argv[2]));
    pthread_mutex_lock(&lock);
    is_closed = 1;
    pthread_cond_broadcast(&wanted);
    pthread_mutex_unlock(&lock);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    printf("right %d wrong %d\n", right, wrong);
    fprintf(stderr, "%s", calls > 1000000 ? "many calls\n" : "");
    return wrong != 0;
}
