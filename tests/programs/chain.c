// A task that hands itself over again, for as long as it is told.
// libs: glib-2.0
// usage: chain LENGTH PAUSE_MS [CARRIER]; prints how many links saw the value of the first
#include "carrier.h"
#include <glib.h>

static GThreadPool *pool;
static long length, pause_ms, links, with_value, last_with_value;
static struct gate done = GATE_CLOSED;

static void work(gpointer data, gpointer user_data)
{
    links++;
    if (current() == 7) {
        with_value++;
        last_with_value = links;
    }
    if (pause_ms)
        sleep_ms(pause_ms);
    if (links < length)
        g_thread_pool_push(pool, data, NULL);
    else
        gate_open(&done);
}

int main(int argc, char **argv)
{
    length = argc > 1 ? atol(argv[1]) : 100;
    pause_ms = argc > 2 ? atol(argv[2]) : 0;
    carrier_choose(argc > 3 ? argv[3] : "key");
    pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    set_current(7);
    g_thread_pool_push(pool, &links, NULL);
    set_current(0);
    gate_wait(&done);
    g_thread_pool_free(pool, FALSE, TRUE);
    printf("links %ld with value %ld last %ld\n", links, with_value, last_with_value);
    return with_value != length;
}
