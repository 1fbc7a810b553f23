/*
 * Pools whose submit functions have more arguments than a callback and its data. Everything that the program means by
 * them is looked at: a function that gets something else in their place is seen. usage: hooks_arguments WAY COUNT [each|now|thread]
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HERE __attribute__((noinline, noclone))

pthread_key_t request_key;

struct job {
    void (*function)(void *);
    void *data;
};
struct pool {
    struct job *jobs;
    long count, room;
};
static long ran, wrong, broken;

static int before(long a, long b)
{
    return a < b;
}

static const char job_name[] = "a job";

static int is_meant(long priority, const char *name, const struct pool *pool, const void *owner)
{
    return !before(priority, 0) && !before(9, priority) && (!name || name == job_name) && owner == &pool->room;
}

/* A priority, a name and an owner that are none of ours are refused. */
HERE int pool_submit(struct pool *pool, void (*function)(void *), void *data, long priority, const char *name, void *owner)
{
    broken += !is_meant(priority, name, pool, owner);
    if (pool->count == pool->room || broken)
        return -1;
    pool->jobs[pool->count++] = (struct job){function, data};
    return 0;
}

/* Runs it at once: what has not been needed for that is still where the arguments are. */
HERE int pool_now(struct pool *pool, void (*function)(void *), void *data, long priority, const char *name, void *owner)
{
    broken += !is_meant(priority, name, pool, owner);
    if (broken)
        return -1;
    function(data);
    return 0;
}

static void task(void *data)
{
    ran++;
    wrong += (long)pthread_getspecific(request_key) != *(long *)data;
}

static void number(void *data)
{
    ran++;
    wrong += (long)pthread_getspecific(request_key) != (long)data;
}

static void same(void *data)
{
    ran++;
    broken += data != &ran;
}

/* Where a third argument would be is a number, then what the last job had: functions leave in registers what they please. */
static void run(struct pool *pool)
{
    void *last = (void *)7;

    pthread_setspecific(request_key, NULL);
    for (long i = 0; i < pool->count; i++) {
        void *data = pool->jobs[i].data;

        ((void (*)(void *, void *, void *))(void *)pool->jobs[i].function)(data, NULL, last);
        last = data;
    }
    pool->count = 0;
}

static void *run_all(void *pool)
{
    run(pool);
    return NULL;
}

/* EACH: a job runs before the next is handed over; NOW: by its submitter; THREAD: half of them by one, the rest by another thread. */
int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    long count = argc > 2 ? atol(argv[2]) : 1000;
    const char *when = argc > 3 ? argv[3] : "";
    int is_each = !strcmp(when, "each");
    int (*submit)(struct pool *, void (*)(void *), void *, long, const char *, void *) =
        !strcmp(when, "now") ? pool_now : pool_submit;
    pthread_t thread;
    struct pool pool = {calloc((size_t)count, sizeof(struct job)), 0, count};
    long *numbers = calloc((size_t)count, sizeof(long));

    pthread_key_create(&request_key, NULL);
    for (long i = 0; i < count; i++) {
        numbers[i] = i + 1;
        pthread_setspecific(request_key, (void *)numbers[i]);
        if (!strcmp(way, "pointer"))
            submit(&pool, task, &numbers[i], 0, job_name, &pool.room);
        else if (!strcmp(way, "number"))
            submit(&pool, number, (void *)numbers[i], 7, NULL, &pool.room);
        else
            submit(&pool, same, &ran, 3, job_name, &pool.room);
        if (is_each)
            run(&pool);
        if (!strcmp(when, "thread") && (i + 1 == count / 2 || i + 1 == count)) {
            pthread_create(&thread, NULL, run_all, &pool);
            pthread_join(thread, NULL);
        }
    }
    run(&pool);
    printf("ran %ld wrong %ld broken %ld\n", ran, wrong, broken);
    return wrong || broken || ran != count;
}
