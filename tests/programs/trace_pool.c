// libs: glib-2.0
// Tasks for a GThreadPool, each with a request of its own; a task of every fourth hands over another.
// usage: trace_pool COUNT [wait|cancel|eight]   wait: for ever afterwards; cancel: tasks that are dropped;
//        eight: so many tasks a request
#include <glib.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

pthread_key_t request_key;
__thread uint64_t request_number;
static GThreadPool *pool;
static gint done, wrong, begun;
static const char *mode = "";

/* Of a task: the request that it is for. */
static intptr_t request_of(intptr_t number)
{
    number %= 1000000;
    return !strcmp(mode, "eight") ? (number - 1) / 8 * 8 + 1 : number;
}

static void task(gpointer data, gpointer user)
{
    intptr_t number = (intptr_t)data;

    (void)user;
    if (number % 4 == 0 && number < 1000000)
        g_thread_pool_push(pool, (gpointer)(number + 1000000), NULL);
    if (g_getenv("BATON_CARRY") &&
        pthread_getspecific(request_key) != (void *)(0x10000 + request_of(number)))
        g_atomic_int_inc(&wrong);
    g_atomic_int_inc(&begun);
    if (!strcmp(mode, "cancel"))
        g_usleep(200000);
    g_atomic_int_inc(&done);
}

int main(int argc, char **argv)
{
    int count = argc > 1 ? atoi(argv[1]) : 100;

    mode = argc > 2 ? argv[2] : "";
    pthread_key_create(&request_key, NULL);
    pool = g_thread_pool_new(task, NULL, 2, TRUE, NULL);
    for (intptr_t i = 1; i <= count; i++) {
        if (request_of(i) == i)
            pthread_setspecific(request_key, (void *)(0x10000 + i));
        request_number = (uint64_t)(5000 + i);
        g_thread_pool_push(pool, (gpointer)i, NULL);
    }
    if (!strcmp(mode, "cancel")) {
        while (g_atomic_int_get(&begun) < 2)
            g_usleep(1000);
        g_thread_pool_free(pool, TRUE, TRUE);
        puts("freed");
        return 0;
    }
    while (g_atomic_int_get(&done) < count + count / 4)
        g_usleep(1000);
    printf("done %d wrong %d\n", done, wrong);
    fflush(stdout);
    while (!strcmp(mode, "wait"))
        pause();
    g_thread_pool_free(pool, FALSE, TRUE);
    return wrong != 0;
}
