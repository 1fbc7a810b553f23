// A submitter whose slot is empty gives an empty slot, whatever the thread that runs the task holds.
// libs: glib-2.0 libuv
// usage: empty_slot [CARRIER]
#include "carrier.h"
#include <glib.h>
#include <uv.h>

static long saw[4], workers[4];

static void pool_work(gpointer data, gpointer user_data)
{
    int number = GPOINTER_TO_INT(data);
    saw[number] = current();
    workers[number] = (long)pthread_self();
    if (number == 1)
        set_current(41);
}

static void uv_body(uv_work_t *request)
{
    saw[(long)request->data] = current();
    set_current(42);
}

static void uv_after(uv_work_t *request, int status)
{
    saw[3] = current();
}

int main(int argc, char **argv)
{
    static uv_work_t first = {.data = (void *)1}, second = {.data = (void *)2};
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    carrier_choose(argc > 1 ? argv[1] : "key");
    /* Both pools make their threads now, while the slot holds 7. */
    set_current(7);
    GThreadPool *pool = g_thread_pool_new(pool_work, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, GINT_TO_POINTER(1), NULL);
    set_current(0);
    g_thread_pool_push(pool, GINT_TO_POINTER(2), NULL);
    for (int ms = 0; ms < 5000 && !__atomic_load_n(&workers[2], __ATOMIC_ACQUIRE); ms++)
        sleep_ms(1);
    expect("pool task with a value sees", saw[1], 7);
    expect("pool task without one sees", saw[2], 0);
    expect("idle pool worker holds", held_by((pthread_t)workers[2]), 0);
    g_thread_pool_free(pool, FALSE, TRUE);

    set_current(7);
    uv_queue_work(uv_default_loop(), &first, uv_body, NULL);
    set_current(0);
    uv_queue_work(uv_default_loop(), &second, uv_body, uv_after);
    set_current(9);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    expect("work with a value sees", saw[1], 7);
    expect("work without one sees", saw[2], 0);
    expect("its after-callback sees", saw[3], 0);
    expect("the loop's thread has", current(), 9);
    set_current(0);
    return verdict();
}
