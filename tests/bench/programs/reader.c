/* No handoff: reads and writes of a thread-specific key, in a thread and in a thread's thread. */
#include "drive.h"
#include "slots.h"

#include <pthread.h>

/* Not among the sixty-four, so nobody carries it. */
pthread_key_t bench_other;
extern pthread_key_t bench_key_0;

static void setup(size_t count)
{
    (void)count;
    pthread_key_create(&bench_other, NULL);
    pthread_setspecific(bench_other, &bench_other);
    slots_set(SLOT_KEY, 0, 1000);
}

static void read_other(size_t index)
{
    (void)index;
    pthread_getspecific(bench_other);
}

static void read_chosen(size_t index)
{
    (void)index;
    pthread_getspecific(bench_key_0);
}

static void write_other(size_t index)
{
    (void)index;
    pthread_setspecific(bench_other, &bench_other);
}

static void write_chosen(size_t index)
{
    (void)index;
    pthread_setspecific(bench_key_0, &bench_key_0);
}

static void *call_body(void *body)
{
    ((void (*)(void))body)();
    return NULL;
}

/* A thread that was started with a value set: it reads what it inherited. */
static void in_a_thread(void (*body)(void))
{
    pthread_t thread;

    if (!pthread_create(&thread, NULL, call_body, (void *)body))
        pthread_join(thread, NULL);
}

const struct way drive_ways[] = {
    {.name = "read.other", .setup = setup, .submit = read_other, .has_own_values = true},
    {.name = "read.chosen", .setup = setup, .submit = read_chosen, .has_own_values = true},
    {.name = "write.other", .setup = setup, .submit = write_other, .has_own_values = true},
    {.name = "write.chosen", .setup = setup, .submit = write_chosen, .has_own_values = true},
    {.name = "inside.read.other", .setup = setup, .submit = read_other, .has_own_values = true, .around = in_a_thread},
    {.name = "inside.read.chosen", .setup = setup, .submit = read_chosen, .has_own_values = true, .around = in_a_thread},
    {.name = "inside.write.chosen", .setup = setup, .submit = write_chosen, .has_own_values = true, .around = in_a_thread},
    {0},
};
