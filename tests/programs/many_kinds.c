// More kinds of pools and of destructors than a table holds: all tasks run, what is lost is counted.
// libs: glib-2.0
// usage: many_kinds pools|keys
#include "carrier.h"
#include <glib.h>

#define TEN(M, t) M(t##0) M(t##1) M(t##2) M(t##3) M(t##4) M(t##5) M(t##6) M(t##7) M(t##8) M(t##9)
#define HUNDRED(M) \
    TEN(M, ) TEN(M, 1) TEN(M, 2) TEN(M, 3) TEN(M, 4) TEN(M, 5) TEN(M, 6) TEN(M, 7) TEN(M, 8) TEN(M, 9)

static int ran, with_value, destroyed;
static GThreadPool *pools[100];

static void task(int number, gpointer data)
{
    if (data == &pools[number])
        __atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
    if (current() == 7)
        __atomic_add_fetch(&with_value, 1, __ATOMIC_RELAXED);
    set_current(8);
}

#define WORK(n)                                            \
    static void work_##n(gpointer data, gpointer unused)   \
    {                                                      \
        task(n, data);                                     \
    }
#define WORK_NAME(n) work_##n,
HUNDRED(WORK)
static const GFunc works[] = {HUNDRED(WORK_NAME)};

static void pools_mode(void)
{
    for (int i = 0; i < 100; i++)
        pools[i] = g_thread_pool_new(works[i], NULL, 1, TRUE, NULL);
    for (int i = 0; i < 100; i++) {
        set_current(7);
        g_thread_pool_push(pools[i], &pools[i], NULL);
        set_current(0);
    }
    for (int i = 0; i < 100; i++)
        g_thread_pool_free(pools[i], FALSE, TRUE);
    expect("ran", ran, 100);
    printf("with value %d\n", with_value);
}

pthread_key_t last_key;

static void destroy(void *value)
{
    destroyed++;
}

static void *owner(void *argument)
{
    pthread_key_t *keys = argument;
    for (int i = 0; i < 300; i++)
        pthread_setspecific(keys[i], keys);
    pthread_setspecific(last_key, keys);
    return NULL;
}

static void keys_mode(void)
{
    pthread_key_t keys[300];
    pthread_t thread;
    for (int i = 0; i < 300; i++)
        pthread_key_create(&keys[i], destroy);
    pthread_key_create(&last_key, destroy);
    pthread_create(&thread, NULL, owner, keys);
    pthread_join(thread, NULL);
    expect("destroyed", destroyed, 301);
}

int main(int argc, char **argv)
{
    carrier_choose("key");
    if (argc > 1 && !strcmp(argv[1], "pools"))
        pools_mode();
    else
        keys_mode();
    return verdict();
}
