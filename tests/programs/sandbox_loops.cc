// As sandbox_exact: by the ways of other libraries, and by a hook that the user names.
// libs: glib-2.0 libevent libsystemd tbb >= 2021
// usage: sandbox_loops WAY [NUMBERS]
#include "sandbox.h"
#include <event2/event.h>
#include <glib.h>
#include <systemd/sd-event.h>
#include <tbb/task_arena.h>
#include <thread>

static void way_std()
{
    std::thread([] { look("std"); }).join();
}

/* ---- GLib's timers, and a queue of which the user says what it is ---- */

static gboolean run_timeout(gpointer way)
{
    if (way)
        look((const char *)way);
    return G_SOURCE_REMOVE;
}

static void begin_timeout()
{
    g_timeout_add(0, run_timeout, NULL);
    g_main_context_iteration(NULL, TRUE);
}

static void way_timeout()
{
    g_timeout_add(1, run_timeout, (gpointer) "timeout");
    drop_values();
    g_main_context_iteration(NULL, TRUE);
}

static GAsyncQueue *queue;
static sem_t looked;

static void *run_queue(void *)
{
    sem_post(&looked);
    for (;;) {
        look((const char *)g_async_queue_pop(queue));
        sem_post(&looked);
    }
}

static void begin_queue()
{
    pthread_t thread;

    sem_init(&looked, 0, 0);
    queue = g_async_queue_new();
    pthread_create(&thread, NULL, run_queue, NULL);
    pthread_detach(thread);
    sem_wait(&looked);
}

static void way_queue()
{
    g_async_queue_push(queue, (gpointer) "queue");
    sem_wait(&looked);
}

/* ---- libevent, sd-event ---- */

static event_base *base;

static void run_event(evutil_socket_t, short, void *way)
{
    if (way)
        look((const char *)way);
}

static void loop_event(const char *way)
{
    timeval soon = {0, 1000};

    event_base_once(base, -1, EV_TIMEOUT, run_event, (void *)way, &soon);
    if (way)
        drop_values();
    event_base_dispatch(base);
}

static void begin_event()
{
    base = event_base_new();
    loop_event(NULL);
}

static void way_event()
{
    loop_event("event");
}

static sd_event *sd;

static int run_sd(sd_event_source *, void *way)
{
    if (way)
        look((const char *)way);
    return 0;
}

static void loop_sd(const char *way)
{
    sd_event_add_defer(sd, NULL, run_sd, (void *)way);
    if (way)
        drop_values();
    sd_event_run(sd, 0);
}

static void begin_sd()
{
    sd_event_new(&sd);
    loop_sd(NULL);
}

static void way_sd()
{
    loop_sd("sd");
}

/* ---- oneTBB ---- */

static tbb::task_arena *arena;
static sem_t in_arena;

static void begin_tbb()
{
    sem_init(&in_arena, 0, 0);
    arena = new tbb::task_arena(2, 0);
    arena->enqueue([] { sem_post(&in_arena); });
    sem_wait(&in_arena);
}

static void way_tbb()
{
    arena->enqueue([] {
        look("tbb");
        sem_post(&in_arena);
    });
    drop_values();
    sem_wait(&in_arena);
}

static const struct way ways[] = {
    {"std", NULL, way_std},          {"timeout", begin_timeout, way_timeout}, {"queue", begin_queue, way_queue},
    {"event", begin_event, way_event}, {"sd", begin_sd, way_sd},              {"tbb", begin_tbb, way_tbb},
    {NULL, NULL, NULL},
};

int main(int argc, char **argv)
{
    return sandbox_main(ways, argc, argv);
}
