// Hundreds of threads that have handed work over stand still when the program ends, each with a cache of its own.
// usage: many_at_exit [CARRIER [THREADS]]
#include "carrier.h"

static struct gate gate = GATE_CLOSED;
static long wrong;

static void *task(void *value)
{
    if (current() != (long)value)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    return NULL;
}

static void *worker(void *value)
{
    pthread_t thread;
    set_current((long)value);
    if (pthread_create(&thread, NULL, task, value) == 0)
        pthread_join(thread, NULL);
    set_current(0);
    gate_wait(&gate);
    return NULL;
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    int threads = argc > 2 ? atoi(argv[2]) : 300;
    pthread_attr_t small;
    pthread_attr_init(&small);
    pthread_attr_setstacksize(&small, 64 * 1024);
    for (long i = 1; i <= threads; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &small, worker, (void *)i) != 0)
            abort();
        pthread_detach(thread);
    }
    gate_await(&gate, threads);
    expect("wrong", wrong, 0);
    return verdict();
}
