/*
 * Pools whose submit functions have more arguments than a callback and its data. Everything that the program means by
 * them is looked at: a function that gets something else in their place is seen. usage: hooks_arguments WAY COUNT
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

/* A priority that is none of ours is refused, and so is another size. */
HERE int pool_submit(struct pool *pool, void (*function)(void *), void *data, long priority, const char *name)
{
    broken += before(priority, 0) || before(9, priority) || (name && strcmp(name, "a job") != 0);
    if (pool->count == pool->room || broken)
        return -1;
    pool->jobs[pool->count++] = (struct job){function, data};
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

static void run(struct pool *pool)
{
    pthread_setspecific(request_key, NULL);
    for (long i = 0; i < pool->count; i++)
        pool->jobs[i].function(pool->jobs[i].data);
    pool->count = 0;
}

/* EACH: a job runs before the next is handed over. */
int main(int argc, char **argv)
{
    const char *way = argc > 1 ? argv[1] : "";
    long count = argc > 2 ? atol(argv[2]) : 1000;
    int is_each = argc > 3;
    struct pool pool = {calloc((size_t)count, sizeof(struct job)), 0, count};
    long *numbers = calloc((size_t)count, sizeof(long));

    pthread_key_create(&request_key, NULL);
    for (long i = 0; i < count; i++) {
        numbers[i] = i + 1;
        pthread_setspecific(request_key, (void *)numbers[i]);
        if (!strcmp(way, "pointer"))
            pool_submit(&pool, task, &numbers[i], 0, "a job");
        else if (!strcmp(way, "number"))
            pool_submit(&pool, number, (void *)numbers[i], 7, NULL);
        else
            pool_submit(&pool, same, &ran, 3, "a job");
        if (is_each)
            run(&pool);
    }
    run(&pool);
    printf("ran %ld wrong %ld broken %ld\n", ran, wrong, broken);
    return wrong || broken || ran != count;
}
