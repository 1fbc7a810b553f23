// A key that is made long after the first handoffs, by a variable, is carried from then on.
// libs: glib-2.0
// usage: late_key
#include "carrier.h"
#include <glib.h>

pthread_key_t late_key;
static long saw;

static void work(gpointer data, gpointer user_data)
{
    saw = (long)pthread_getspecific(late_key);
}

static long through_pool(void)
{
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, pool, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    return saw;
}

int main(void)
{
    late_key = 1000; /* no key */
    for (int i = 0; i < 100; i++)
        expect("before it is made", through_pool(), 0);
    pthread_key_create(&late_key, NULL);
    expect("made, not set", through_pool(), 0);
    pthread_setspecific(late_key, (void *)4);
    expect("made and set", through_pool(), 4);
    pthread_setspecific(late_key, NULL);
    return verdict();
}
