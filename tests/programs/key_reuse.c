// A deleted key's number goes to the next key: what was captured for the old one never shows in the new one.
// libs: glib-2.0
// usage: key_reuse [tss]
#include "carrier.h"
#include <glib.h>

static pthread_key_t other_key;
static long other_saw = -1, again_saw = -1;
static struct gate gate = GATE_CLOSED;

static void work(gpointer data, gpointer user_data)
{
    if (GPOINTER_TO_INT(data) == 1)
        gate_wait(&gate);
    if (GPOINTER_TO_INT(data) == 2)
        other_saw = (long)pthread_getspecific(other_key);
    if (GPOINTER_TO_INT(data) == 3)
        again_saw = (long)pthread_getspecific(request_key);
}

int main(int argc, char **argv)
{
    int is_c11 = argc > 1 && !strcmp(argv[1], "tss");
    pthread_key_create(&request_key, NULL);
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    pthread_setspecific(request_key, (void *)5);
    g_thread_pool_push(pool, GINT_TO_POINTER(1), NULL);
    gate_await(&gate, 1);
    g_thread_pool_push(pool, GINT_TO_POINTER(2), NULL);
    pthread_key_t old = request_key;
    if (is_c11) /* in glibc the two kinds are one */
        tss_delete(request_key);
    else
        pthread_key_delete(request_key);
    pthread_key_create(&other_key, NULL);
    expect("the number is reused", other_key == old, 1);
    pthread_key_create(&request_key, NULL);
    pthread_setspecific(request_key, (void *)6);
    g_thread_pool_push(pool, GINT_TO_POINTER(3), NULL);
    pthread_setspecific(request_key, NULL);
    gate_open(&gate);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("the new key holds", other_saw, 0);
    expect("the key that was made again holds", again_saw, 6);
    return verdict();
}
