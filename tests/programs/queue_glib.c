// GAsyncQueue: who takes an item out has the value of the one who put it in, until the next one.
// libs: glib-2.0
// usage: queue_glib MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#define GLIB_DISABLE_DEPRECATION_WARNINGS
#include <glib.h>

enum { ITEMS = 300, WORKERS = 3 };
static int items[ITEMS * WORKERS], stop;

static void push(GAsyncQueue *queue, void *item, long value)
{
    set_current(value);
    g_async_queue_push(queue, item);
    set_current(9);
}

/* The same item waits three times, among others, and in a second queue. */
static void mode_equal(void)
{
    GAsyncQueue *queue = g_async_queue_new(), *other = g_async_queue_new();
    for (int i = 0; i < 3; i++) {
        push(queue, &items[0], 101 + i);
        push(queue, &items[1], 201 + i);
        push(other, &items[0], 301 + i);
    }
    for (int i = 0; i < 3; i++) {
        expect("other", g_async_queue_pop(other) == &items[0], 1);
        expect("other sees", current(), 301 + i);
        expect("first", g_async_queue_pop(queue) == &items[0], 1);
        expect("first sees", current(), 101 + i);
        expect("second", g_async_queue_try_pop(queue) == &items[1], 1);
        expect("second sees", current(), 201 + i);
    }
    expect("empty", g_async_queue_try_pop(queue) == NULL, 1);
    expect("afterwards", current(), 9);
    g_async_queue_unref(queue);
    g_async_queue_unref(other);
}

static int compare(const void *one, const void *other, void *data)
{
    expect("data", data == &stop, 1);
    return (one > other) - (one < other);
}

/* Not in the order in which they were put in; the same item at the front comes before itself. */
static void mode_order(void)
{
    static const int sorted[] = {2, 0, 1};
    GAsyncQueue *queue = g_async_queue_new();
    for (int i = 0; i < 3; i++) {
        set_current(101 + sorted[i]);
        g_async_queue_push_sorted(queue, &items[sorted[i]], compare, &stop);
    }
    set_current(9);
    for (int i = 0; i < 3; i++) {
        expect("sorted", g_async_queue_pop(queue) == &items[i], 1);
        expect("sorted sees", current(), 101 + i);
    }
    push(queue, &items[0], 201);
    for (int i = 0; i < 2; i++) {
        set_current(202 + i);
        g_async_queue_push_front(queue, &items[0]);
    }
    push(queue, &items[0], 204);
    set_current(205);
    g_async_queue_push_front(queue, &items[1]);
    set_current(9);
    expect("other", g_async_queue_pop(queue) == &items[1], 1);
    expect("front sees", current(), 205);
    static const int front[] = {203, 202, 201, 204};
    for (int i = 0; i < 4; i++) {
        expect("item", g_async_queue_pop(queue) == &items[0], 1);
        expect("front sees", current(), front[i]);
    }
    expect("empty", g_async_queue_try_pop(queue) == NULL, 1);
    g_async_queue_unref(queue);
}

/* Every other way, with the lock in the program's hands too. */
static void mode_ways(void)
{
    GAsyncQueue *queue = g_async_queue_new();
    GTimeVal soon;
    for (int i = 0; i < 8; i++) {
        void *got = NULL;
        set_current(101 + i);
        if (i % 2)
            g_async_queue_lock(queue);
        if (i == 1)
            g_async_queue_push_unlocked(queue, &items[i]);
        else if (i == 3)
            g_async_queue_push_front_unlocked(queue, &items[i]);
        else if (i == 5)
            g_async_queue_push_sorted_unlocked(queue, &items[i], compare, &stop);
        else if (i % 2)
            g_async_queue_push_unlocked(queue, &items[i]);
        else
            g_async_queue_push(queue, &items[i]);
        set_current(9);
        g_get_current_time(&soon);
        g_time_val_add(&soon, 10000000);
        switch (i) {
        case 0: got = g_async_queue_timeout_pop(queue, 10000000); break;
        case 1: got = g_async_queue_pop_unlocked(queue); break;
        case 2: got = g_async_queue_timed_pop(queue, &soon); break;
        case 3: got = g_async_queue_try_pop_unlocked(queue); break;
        case 4: got = g_async_queue_try_pop(queue); break;
        case 5: got = g_async_queue_timeout_pop_unlocked(queue, 10000000); break;
        case 7: got = g_async_queue_timed_pop_unlocked(queue, &soon); break;
        default: got = g_async_queue_pop(queue);
        }
        expect("item", got == &items[i], 1);
        expect("sees", current(), 101 + i);
        if (i % 2)
            g_async_queue_unlock(queue);
    }
    expect("nothing comes", g_async_queue_timeout_pop(queue, 1000) == NULL, 1);
    expect("afterwards", current(), 9);
    g_async_queue_unref(queue);
}

static void push_twice(GAsyncQueue *queue, int way)
{
    for (int i = 0; i < 2; i++) {
        set_current(101 + i);
        switch (way) {
        case 0: g_async_queue_push(queue, &items[0]); break;
        case 1: g_async_queue_push_unlocked(queue, &items[0]); break;
        case 2: g_async_queue_push_sorted(queue, &items[0], compare, &stop); break;
        case 3: g_async_queue_push_sorted_unlocked(queue, &items[0], compare, &stop); break;
        case 4: g_async_queue_push_front(queue, &items[0]); break;
        default: g_async_queue_push_front_unlocked(queue, &items[0]);
        }
    }
    set_current(9);
}

/* The same item twice, by each way in: first in, first out, but at the front. */
static void mode_twice(void)
{
    GAsyncQueue *queue = g_async_queue_new();
    for (int way = 0; way < 6; way++) {
        push_twice(queue, way);
        for (int i = 0; i < 2; i++) {
            expect("item", g_async_queue_pop(queue) == &items[0], 1);
            expect("sees", current(), way < 4 ? 101 + i : 102 - i);
        }
        expect("empty", g_async_queue_try_pop(queue) == NULL, 1);
    }
    g_async_queue_unref(queue);
}

/* Taken out again by the one who put it in: the last one of the same item. */
static void mode_remove(void)
{
    GAsyncQueue *queue = g_async_queue_new();
    push(queue, &items[0], 101);
    push(queue, &items[1], 102);
    push(queue, &items[0], 103);
    expect("removed", g_async_queue_remove(queue, &items[0]), 1);
    expect("not there", g_async_queue_remove(queue, &items[2]), 0);
    g_async_queue_lock(queue);
    expect("removed", g_async_queue_remove_unlocked(queue, &items[1]), 1);
    expect("not there", g_async_queue_remove_unlocked(queue, &items[1]), 0);
    g_async_queue_unlock(queue);
    expect("item", g_async_queue_pop(queue) == &items[0], 1);
    expect("sees", current(), 101);
    push(queue, &items[0], 104); /* and what went in with them is nobody's */
    push(queue, &items[1], 105);
    for (int i = 0; i < 2; i++) {
        expect("item", g_async_queue_pop(queue) == &items[i], 1);
        expect("sees", current(), 104 + i);
    }
    expect("empty", g_async_queue_try_pop(queue) == NULL, 1);
    g_async_queue_unref(queue);
}

static int freed;

static void free_item(void *item)
{
    freed++;
}

/* Queues that go with items in them, one after another at the same address. */
static void mode_dropped(void)
{
    for (int round = 0; round < 20; round++) {
        GAsyncQueue *queue = round % 2 ? g_async_queue_new() : g_async_queue_new_full(free_item);
        push(queue, &items[0], 101);
        g_async_queue_ref(queue);
        g_async_queue_ref_unlocked(queue);
        g_async_queue_unref(queue);
        g_async_queue_lock(queue);
        g_async_queue_unref_and_unlock(queue);
        push(queue, &items[0], 102);
        for (int i = 0; i < 200; i++)
            push(queue, &items[i], 1000 + i);
        expect("item", g_async_queue_pop(queue) == &items[0], 1);
        expect("sees", current(), 101);
        expect("item", g_async_queue_pop(queue) == &items[0], 1);
        expect("sees", current(), 102);
        if (round % 4 < 2) {
            g_async_queue_unref(queue);
            continue;
        }
        g_async_queue_lock(queue);
        g_async_queue_unref_and_unlock(queue);
    }
    expect("freed", freed, 2000);
    GAsyncQueue *queue = g_async_queue_new();
    expect("nothing", g_async_queue_try_pop(queue) == NULL, 1);
    expect("afterwards", current(), 9);
    g_async_queue_unref(queue);
}

static GAsyncQueue *shared;
static int wrong, taken;

static void *produce(void *first)
{
    for (int i = 0; i < ITEMS; i++) {
        int *item = (int *)first + i;
        set_current(1000 + (item - items));
        g_async_queue_push(shared, item);
    }
    return NULL;
}

static void *consume(void *arg)
{
    set_current(0);
    for (;;) {
        int *item = g_async_queue_pop(shared);
        if (item == &stop)
            break;
        if (current() != 1000 + (item - items) || (set_current(5), current() != 5))
            __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
        __atomic_add_fetch(&taken, 1, __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Three put in, three take out; what a consumer sets is not seen by its next item. */
static void mode_threads(void)
{
    pthread_t threads[2 * WORKERS];
    shared = g_async_queue_new();
    for (int i = 0; i < WORKERS; i++) {
        pthread_create(&threads[i], NULL, consume, NULL);
        pthread_create(&threads[WORKERS + i], NULL, produce, items + i * ITEMS);
    }
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[WORKERS + i], NULL);
    for (int i = 0; i < WORKERS; i++)
        g_async_queue_push(shared, &stop);
    for (int i = 0; i < WORKERS; i++)
        pthread_join(threads[i], NULL);
    expect("taken", taken, ITEMS * WORKERS);
    expect("wrong", wrong, 0);
    g_async_queue_unref(shared);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"equal", mode_equal},   {"order", mode_order},     {"ways", mode_ways},
             {"twice", mode_twice},   {"remove", mode_remove},   {"dropped", mode_dropped}, {"threads", mode_threads}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            return verdict();
        }
    return 2;
}
