// The owner replaces, or clears, the value of a key while tasks hold it; or only afterwards.
// libs: glib-2.0
// link: -rdynamic
// usage: dangling replaced|cleared|waits|number
#include "carrier.h"
#include <glib.h>

pthread_key_t item_key;
static struct gate gate = GATE_CLOSED;

static void work(gpointer data, gpointer user_data)
{
    gate_wait(&gate);
}

__attribute__((noinline)) void serve_request(GThreadPool *pool)
{
    for (volatile int i = 0; i < 3; i++)
        g_thread_pool_push(pool, pool, NULL);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "replaced";
    static long items[2];
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    pthread_key_create(&item_key, NULL);
    pthread_setspecific(item_key, !strcmp(mode, "number") ? (void *)17L : (void *)&items[0]);
    serve_request(pool);
    if (!strcmp(mode, "waits")) {
        gate_open(&gate);
        g_thread_pool_free(pool, FALSE, TRUE);
        pool = NULL;
    }
    pthread_setspecific(item_key, !strcmp(mode, "replaced") ? &items[1] : NULL);
    gate_open(&gate);
    if (pool)
        g_thread_pool_free(pool, FALSE, TRUE);
    return 0;
}
