// Who inherits: threads of the program do, workers that a pool library starts do not.
// libs: glib-2.0
// usage: inherit [CARRIER]; prints what each holds, right or wrong is up to BATON_INHERIT
#include "carrier.h"
#include <glib.h>
#include <thread>

static pthread_t worker;
static int worked;

static void work(gpointer, gpointer)
{
    worker = pthread_self();
    __atomic_store_n(&worked, 1, __ATOMIC_RELEASE);
}

static void *body(void *seen)
{
    *static_cast<long *>(seen) = current();
    return nullptr;
}

int main(int argc, char **argv)
{
    long seen = -1;
    pthread_t thread;
    carrier_choose(argc > 1 ? argv[1] : "key");
    set_current(7);
    pthread_create(&thread, nullptr, body, &seen);
    pthread_join(thread, nullptr);
    printf("pthread holds %ld\n", seen);
    std::thread([&] { body(&seen); }).join();
    printf("std::thread holds %ld\n", seen);
    g_thread_join(g_thread_new("one", body, &seen));
    printf("GThread holds %ld\n", seen);
    GThreadPool *pool = g_thread_pool_new(work, nullptr, 1, TRUE, nullptr);
    g_thread_pool_push(pool, &seen, nullptr);
    while (!__atomic_load_n(&worked, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    printf("idle pool worker holds %ld\n", held_by(worker));
    g_thread_pool_free(pool, FALSE, TRUE);
    set_current(0);
    let_rest(); /* nobody joins the worker: let it end */
    return 0;
}
