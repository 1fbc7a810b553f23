// A key that is made long after the first handoffs is carried from then on; no other key is until then.
// libs: glib-2.0
// usage: late_key direct|stored; `stored`: made through a local variable, then copied
#include "carrier.h"
#include <glib.h>

pthread_key_t first_key; /* of the same module: number 0 or close to it */
pthread_key_t late_key;  /* 0 until it is made: not the key with that number */
static long saw_late, saw_first;

static void work(gpointer data, gpointer user_data)
{
    saw_first = (long)pthread_getspecific(first_key);
    saw_late = (long)pthread_getspecific(late_key);
}

static long through_pool(void)
{
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, pool, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("the other key", saw_first, 0);
    return saw_late;
}

int main(int argc, char **argv)
{
    pthread_key_create(&first_key, NULL);
    pthread_setspecific(first_key, (void *)3);
    for (int i = 0; i < 10; i++)
        through_pool();
    if (argc > 1 && !strcmp(argv[1], "stored")) {
        pthread_key_t local;
        pthread_key_create(&local, NULL);
        late_key = local;
    } else {
        pthread_key_create(&late_key, NULL);
    }
    expect("made, not set", through_pool(), 0);
    pthread_setspecific(late_key, (void *)4);
    expect("made and set", through_pool(), 4);
    pthread_setspecific(late_key, NULL);
    return verdict();
}
