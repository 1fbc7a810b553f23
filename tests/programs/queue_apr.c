// apr_queue: who takes an item out has the value of the one who put it in, until the next one.
// libs: apr-util-1 apr-1
// usage: queue_apr MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <apr_general.h>
#include <apr_queue.h>

enum { ITEMS = 300, WORKERS = 3, ROOM = 8 };
static int items[ITEMS * WORKERS];
static apr_pool_t *pool;

static apr_queue_t *new_queue(unsigned room)
{
    apr_queue_t *queue;
    if (apr_queue_create(&queue, room, pool) != APR_SUCCESS)
        abort();
    return queue;
}

/* The same item twice; a full queue refuses one more; nothing comes of an empty one. */
static void mode_ways(void)
{
    apr_queue_t *queue = new_queue(4);
    void *item = NULL;
    for (int i = 0; i < 4; i++) {
        set_current(101 + i);
        expect("pushed", i % 2 ? apr_queue_trypush(queue, &items[i / 2]) : apr_queue_push(queue, &items[i / 2]), 0);
    }
    for (int i = 0; i < 10; i++) {
        set_current(201 + i);
        expect("full", APR_STATUS_IS_EAGAIN(apr_queue_trypush(queue, &items[0])), 1);
    }
    set_current(9);
    for (int i = 0; i < 4; i++) {
        expect("popped", i % 2 ? apr_queue_trypop(queue, &item) : apr_queue_pop(queue, &item), 0);
        expect("item", (int *)item - items, i / 2);
        expect("sees", current(), 101 + i);
    }
    /* `item` still holds what came out last; that it is put in again must not be mixed up with it. */
    expect("empty", APR_STATUS_IS_EAGAIN(apr_queue_trypop(queue, &item)), 1);
    expect("afterwards", current(), 9);
    set_current(301);
    apr_queue_push(queue, item);
    set_current(9);
    expect("popped", apr_queue_pop(queue, &item), 0);
    expect("sees", current(), 301);
    expect("empty", APR_STATUS_IS_EAGAIN(apr_queue_trypop(queue, &item)), 1);
}

/* Queues that go with items in them: closed, or with their pool, where the next one gets their memory. */
static void mode_dropped(void)
{
    apr_queue_t *queue = new_queue(200), *old = queue;
    void *item = NULL;
    for (int i = 0; i < 200; i++) {
        set_current(101 + i);
        apr_queue_push(queue, &items[i % 3]);
    }
    set_current(9);
    expect("popped", apr_queue_pop(queue, &item), 0);
    expect("sees", current(), 101);
    apr_queue_term(queue);
    expect("closed", apr_queue_push(queue, &items[0]), APR_EOF);
    expect("closed", apr_queue_trypush(queue, &items[0]), APR_EOF);
    expect("closed", apr_queue_pop(queue, &item), APR_EOF);
    for (int round = 0; round < 5; round++) {
        apr_pool_clear(pool);
        queue = new_queue(200);
        expect("same place", queue == old, 1);
        for (int i = 0; i < 20; i++) {
            set_current(201 + round * 100 + i);
            apr_queue_push(queue, &items[0]);
        }
        set_current(9);
        expect("popped", apr_queue_pop(queue, &item), 0);
        expect("sees", current(), 201 + round * 100);
        expect("popped", apr_queue_trypop(queue, &item), 0);
        expect("sees", current(), 202 + round * 100);
    }
    apr_queue_term(queue);
}

static apr_queue_t *shared;
static int wrong, taken;

static void *produce(void *first)
{
    for (int i = 0; i < ITEMS; i++) {
        int *item = (int *)first + i;
        set_current(1000 + (item - items));
        while (apr_queue_push(shared, item) != APR_SUCCESS)
            ;
    }
    return NULL;
}

static void *consume(void *arg)
{
    void *item;
    apr_status_t status;
    set_current(0);
    while ((status = apr_queue_pop(shared, &item)) != APR_EOF) {
        if (status != APR_SUCCESS) /* interrupted */
            continue;
        if (current() != 1000 + ((int *)item - items) || (set_current(5), current() != 5))
            __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Three put in, three take out of a small queue: pushes wait for room. */
static void mode_threads(void)
{
    pthread_t threads[2 * WORKERS];
    shared = new_queue(ROOM);
    for (int i = 0; i < WORKERS; i++) {
        pthread_create(&threads[i], NULL, consume, NULL);
        pthread_create(&threads[WORKERS + i], NULL, produce, items + i * ITEMS);
    }
    apr_queue_interrupt_all(shared);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[WORKERS + i], NULL);
    while (__atomic_load_n(&taken, __ATOMIC_RELAXED) < ITEMS * WORKERS)
        sleep_ms(1);
    apr_queue_term(shared);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    expect("taken", taken, ITEMS * WORKERS);
    expect("wrong", wrong, 0);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"ways", mode_ways}, {"dropped", mode_dropped}, {"threads", mode_threads}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    apr_initialize();
    apr_pool_create(&pool, NULL);
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            apr_pool_destroy(pool);
            apr_terminate();
            return verdict();
        }
    return 2;
}
