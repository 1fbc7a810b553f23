// Threads and pools that allocate in one thread and free in another, for other allocators and sanitizers.
// libs: glib-2.0
// usage: churn [CARRIER]
#include "carrier.h"
#include <glib.h>

static int right;

struct parcel {
    long number;
    char *text;
};

static void work(gpointer data, gpointer user_data)
{
    struct parcel *parcel = data;
    right += current() == parcel->number && strlen(parcel->text) == 100;
    free(parcel->text);
    free(parcel);
}

static void *body(void *argument)
{
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (long i = 1; i <= 2000; i++) {
        struct parcel *parcel = malloc(sizeof(*parcel));
        parcel->number = i;
        parcel->text = malloc(200);
        memset(parcel->text, 'x', 100);
        parcel->text[100] = 0;
        set_current(i);
        g_thread_pool_push(pool, parcel, NULL);
    }
    set_current(0);
    g_thread_pool_free(pool, FALSE, TRUE);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;
    carrier_choose(argc > 1 ? argv[1] : "key");
    for (int i = 0; i < 10; i++) {
        pthread_create(&thread, NULL, body, NULL);
        pthread_join(thread, NULL);
    }
    expect("right", right, 20000);
    return verdict();
}
