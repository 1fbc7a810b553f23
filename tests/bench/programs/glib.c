/* GLib: a pool of one thread; idle sources and timers of the main context. */
#include "drive.h"

#include <glib.h>

static GThreadPool *pool;
static size_t in_flight;
static size_t dispatched, awaited;

#define GATE GSIZE_TO_POINTER(G_MAXSIZE)

static void run_task(gpointer data, gpointer user_data)
{
    (void)user_data;
    if (data == GATE)
        drive_gate();
    else
        drive_task(GPOINTER_TO_SIZE(data) - 1);
}

static void setup_pool(size_t count)
{
    in_flight = count;
    pool = g_thread_pool_new(run_task, NULL, 1, TRUE, NULL);
}

static void park(void)
{
    g_thread_pool_push(pool, GATE, NULL);
}

static void push(size_t index)
{
    g_thread_pool_push(pool, GSIZE_TO_POINTER(index + 1), NULL);
}

static void push_nested(size_t index)
{
    g_thread_pool_push(pool, GSIZE_TO_POINTER(index + in_flight + 1), NULL);
}

static void setup_idle(size_t count)
{
    in_flight = count;
}

static gboolean run_idle(gpointer data)
{
    dispatched++;
    drive_task(GPOINTER_TO_SIZE(data));
    return G_SOURCE_REMOVE;
}

static void add_idle(size_t index)
{
    awaited++;
    g_idle_add(run_idle, GSIZE_TO_POINTER(index));
}

static void add_idle_nested(size_t index)
{
    add_idle(index + in_flight);
}

static void add_timeout(size_t index)
{
    awaited++;
    g_timeout_add(0, run_idle, GSIZE_TO_POINTER(index));
}

static void iterate(void)
{
    while (dispatched < awaited)
        g_main_context_iteration(NULL, FALSE);
}

const struct way drive_ways[] = {
    {.name = "glib.pool", .setup = setup_pool, .park = park, .submit = push, .nest = push_nested},
    {.name = "glib.idle",
     .setup = setup_idle,
     .submit = add_idle,
     .finish = iterate,
     .nest = add_idle_nested,
     .is_same_thread = true},
    {.name = "glib.timeout",
     .setup = setup_idle,
     .submit = add_timeout,
     .finish = iterate,
     .is_same_thread = true},
    {0},
};
