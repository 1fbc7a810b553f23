// exit() while workers are at work and the queue is full: the program ends at once with its own code.
// libs: glib-2.0 libuv
// usage: exit_busy exit|quick|abort|return|pthread_exit [CARRIER]
#include "carrier.h"
#include <glib.h>
#include <sys/resource.h>
#include <uv.h>

static void spin(gpointer data, gpointer user_data)
{
    for (int i = 0; i < 30; i++)
        sleep_ms(1);
}

static void uv_spin(uv_work_t *request)
{
    spin(NULL, NULL);
}

static void *ends(void *argument)
{
    sleep_ms(20);
    exit(6);
}

int main(int argc, char **argv)
{
    static uv_work_t requests[12];
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_CORE, &none);
    carrier_choose(argc > 2 ? argv[2] : "key");
    const char *way = argc > 1 ? argv[1] : "exit";
    GThreadPool *pool = g_thread_pool_new(spin, NULL, 2, FALSE, NULL);
    for (int i = 0; i < 12; i++) {
        set_current(i + 1);
        g_thread_pool_push(pool, pool, NULL);
        uv_queue_work(uv_default_loop(), &requests[i], uv_spin, NULL);
    }
    sleep_ms(10);
    if (!strcmp(way, "exit"))
        exit(3);
    if (!strcmp(way, "quick"))
        quick_exit(4);
    if (!strcmp(way, "abort"))
        abort();
    if (!strcmp(way, "pthread_exit")) {
        pthread_t thread;
        pthread_create(&thread, NULL, ends, NULL);
        pthread_exit(NULL);
    }
    return 5;
}
