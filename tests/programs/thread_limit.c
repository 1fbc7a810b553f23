// No thread can be started any more: every library says so as ever, and nothing is left behind.
// libs: glib-2.0 libuv
// usage: thread_limit [CARRIER]
#include "carrier.h"
#include <glib.h>
#include <sys/resource.h>
#include <uv.h>

static void *body(void *argument)
{
    puts("a thread started after all");
    return NULL;
}

static int body_c11(void *argument)
{
    body(argument);
    return 0;
}

static void body_uv(void *argument)
{
    body(argument);
}

static void item(gpointer data, gpointer user_data)
{
    body(data);
}

static void *parent_body(void *seen)
{
    *(long *)seen = current();
    return NULL;
}

int main(int argc, char **argv)
{
    /* A user of whom nothing else runs; root has no limit. */
    struct rlimit none = {0, 0};
    pthread_t thread;
    thrd_t c11;
    uv_thread_t uv;
    GError *error = NULL;
    long seen = 0;
    carrier_choose(argc > 1 ? argv[1] : "key");
    set_current(5);
    pthread_create(&thread, NULL, parent_body, &seen);
    pthread_join(thread, NULL);
    if (setreuid(54321, 54321) != 0) {
        puts("cannot change the user");
        return 77;
    }
    setrlimit(RLIMIT_NPROC, &none);
    printf("pthread_create %d\n", pthread_create(&thread, NULL, body, NULL));
    printf("thrd_create %d\n", thrd_create(&c11, body_c11, NULL));
    printf("uv_thread_create %s\n", uv_err_name(uv_thread_create(&uv, body_uv, NULL)));
    printf("g_thread_try_new %d", g_thread_try_new("one", body, NULL, &error) != NULL);
    printf(" %s\n", error ? error->message : "no error");
    g_clear_error(&error);
    GThreadPool *pool = g_thread_pool_new(item, NULL, 1, FALSE, &error);
    printf("pool %d %s\n", pool != NULL, error ? error->message : "no error");
    g_clear_error(&error);
    printf("push %d", g_thread_pool_push(pool, pool, &error));
    printf(" %s\n", error ? error->message : "no error");
    g_clear_error(&error);
    g_thread_pool_free(pool, TRUE, FALSE);
    set_current(0);
    expect("before that a thread saw", seen, 5);
    return verdict();
}
