// A key above 31 needs memory from the program's calloc in each thread: when there is none, tasks still run.
// libs: glib-2.0
// usage: key_no_memory [fail]
#include "carrier.h"
#include <glib.h>

extern void *__libc_calloc(size_t count, size_t size);

pthread_key_t high_key;
static int failing;
static __thread int in_worker;
static int ran, saw, set_result;

/* The program's allocator. */
void *calloc(size_t count, size_t size)
{
    if (__atomic_load_n(&failing, __ATOMIC_RELAXED) && in_worker) {
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(count, size);
}

static void work(gpointer data, gpointer user_data)
{
    long wanted = (long)data;
    in_worker = 1;
    ran++;
    saw += (long)pthread_getspecific(high_key) == wanted;
    set_result = pthread_setspecific(high_key, (void *)99);
}

int main(int argc, char **argv)
{
    pthread_key_t others[40];
    for (int i = 0; i < 40; i++)
        pthread_key_create(&others[i], NULL);
    pthread_key_create(&high_key, NULL);
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (long i = 1; i <= 100; i++) {
        if (i == 2 && argc > 1)
            __atomic_store_n(&failing, 1, __ATOMIC_RELAXED);
        pthread_setspecific(high_key, (void *)i);
        g_thread_pool_push(pool, (gpointer)i, NULL);
    }
    pthread_setspecific(high_key, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("ran", ran, 100);
    printf("saw %d\n", saw);
    return ran != 100 || saw != 100;
}
