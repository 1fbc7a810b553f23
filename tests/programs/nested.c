// A worker that runs a second task while it waits inside a first has the first one's values afterwards.
// libs: glib-2.0 libuv
// usage: nested [CARRIER]
// The first task runs in a GThreadPool and runs a libuv loop inside, whose callbacks are the others.
#include "carrier.h"
#include <glib.h>
#include <uv.h>

static long outer_saw, inner_saw, deeper_saw, deeper_after_saw, inner_end, outer_end;

static void nothing(uv_work_t *request)
{
}

static void deeper(uv_work_t *request)
{
    deeper_saw = current();
    set_current(34);
}

static void deeper_after(uv_work_t *request, int status)
{
    deeper_after_saw = current();
    set_current(35);
}

/* Inside the outer task, on its thread; a third one runs inside this one. */
static void inner_after(uv_work_t *request, int status)
{
    static uv_work_t third;
    inner_saw = current();
    set_current(23);
    uv_loop_t loop;
    uv_loop_init(&loop);
    uv_queue_work(&loop, &third, deeper, deeper_after);
    set_current(24);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    inner_end = current();
}

static void outer(gpointer data, gpointer user_data)
{
    static uv_work_t request;
    outer_saw = current();
    set_current(12);
    uv_loop_t loop;
    uv_loop_init(&loop);
    uv_queue_work(&loop, &request, nothing, inner_after);
    set_current(13);
    uv_run(&loop, UV_RUN_DEFAULT);
    uv_loop_close(&loop);
    outer_end = current();
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    set_current(1);
    GThreadPool *pool = g_thread_pool_new(outer, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, pool, NULL);
    set_current(0);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("the first task sees", outer_saw, 1);
    expect("the task inside sees", inner_saw, 12);
    expect("work of the third sees", deeper_saw, 23);
    expect("the third inside that sees", deeper_after_saw, 23);
    expect("the second has its own back", inner_end, 24);
    expect("the first has its own back", outer_end, 13);
    return verdict();
}
