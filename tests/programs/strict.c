// What goes wrong with handed over work, one thing a mode, and the same done right.
// flags: -Iinclude
// libs: glib-2.0
// link: -rdynamic
// usage: strict MODE [right|wrong] [key|tls]
#include "baton.h"
#include "carrier.h"
#include <glib.h>
#include <sys/wait.h>

static GThreadPool *pool;
static struct gate started = GATE_CLOSED, gate = GATE_CLOSED, done = GATE_CLOSED;
static gboolean is_right;
static long left;

/* ---- kept for ever: a source of a main context that nobody runs ---- */

static gboolean never(gpointer data)
{
    return G_SOURCE_REMOVE;
}

__attribute__((noinline, used)) GSource *keep_request(GMainContext *context)
{
    GSource *source = g_timeout_source_new(1000000);

    g_source_set_callback(source, never, NULL, NULL);
    g_source_attach(source, context);
    return source;
}

static void leak(void)
{
    GMainContext *context = g_main_context_new();
    GSource *sources[3];

    set_current(7);
    for (int i = 0; i < 3; i++)
        sources[i] = keep_request(context);
    for (int i = 0; i < 3; i++) {
        if (is_right)
            g_source_destroy(sources[i]);
        g_source_unref(sources[i]);
    }
    if (is_right)
        g_main_context_unref(context);
    set_current(0);
}

/* Held for a while, and the program goes on, in this thread alone. */
static void old(void)
{
    GMainContext *context = g_main_context_new();
    GSource *source;
    gint64 end = g_get_monotonic_time() + 150000;

    set_current(7);
    source = keep_request(context);
    if (is_right)
        g_source_destroy(source);
    do {
        g_idle_add(never, NULL);
        g_main_context_iteration(NULL, TRUE);
        sleep_ms(5);
    } while (g_get_monotonic_time() < end);
    g_source_destroy(source);
    g_source_unref(source);
    g_main_context_unref(context);
}

/* ---- a worker that keeps what was set in it between two tasks ---- */

static pthread_t worker;

static void work_here(gpointer data, gpointer user_data)
{
    worker = pthread_self();
    gate_open(data);
}

static void set_here(int number)
{
    set_current(is_right ? 0 : 9);
    probe_answered = 1;
}

static void dirty(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_handler = set_here;
    action.sa_flags = SA_RESTART;
    sigaction(SIGUSR2, &action, NULL);
    pool = g_thread_pool_new(work_here, NULL, 1, FALSE, NULL);
    set_current(7);
    g_thread_pool_push(pool, &started, NULL);
    gate_wait(&started);
    while (!g_thread_pool_get_num_unused_threads()) /* it is done with the task */
        sleep_ms(1);
    pthread_kill(worker, SIGUSR2);
    while (!__atomic_load_n(&probe_answered, __ATOMIC_ACQUIRE))
        sleep_ms(1);
    g_thread_pool_push(pool, &done, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    set_current(0);
}

/* ---- hands itself over ---- */

__attribute__((noinline, used)) void work_again(gpointer data, gpointer user_data)
{
    if (--left > 0)
        g_thread_pool_push(pool, data, NULL);
    else
        gate_open(&done);
}

static void again(void)
{
    left = is_right ? 900 : 1100;
    pool = g_thread_pool_new(work_again, NULL, 1, TRUE, NULL);
    set_current(7);
    g_thread_pool_push(pool, &left, NULL);
    gate_wait(&done);
    g_thread_pool_free(pool, FALSE, TRUE);
    set_current(0);
}

/* ---- the interface ---- */

static baton_context *context;

static void enter_again(void *arg)
{
    baton_context *other = is_right ? baton_context_copy_of(context) : context;

    baton_context_run(other, (void (*)(void *))gate_open, &gate);
    if (is_right)
        baton_context_free(other);
}

__attribute__((noinline, used)) void enter(void)
{
    context = baton_context_copy();
    baton_context_run(context, enter_again, NULL);
    baton_context_free(context);
}

__attribute__((noinline, used)) void detach(void)
{
    baton_handoff *outer, *inner;
    baton_scope outer_scope, inner_scope;

    set_current(7);
    outer = baton_capture();
    set_current(8);
    inner = baton_capture();
    set_current(0);
    baton_attach(outer, &outer_scope);
    baton_attach(inner, &inner_scope);
    if (is_right)
        baton_detach(&inner_scope);
    baton_detach(&outer_scope);
    if (!is_right)
        baton_detach(&inner_scope);
    baton_release(inner);
    baton_release(outer);
}

/* ---- right: what runs at exit, and what a parent has handed over ---- */

static void wait_for_ever(gpointer data, gpointer user_data)
{
    gate_open(&started);
    gate_wait(&gate);
}

static void *thread_for_ever(void *arg)
{
    wait_for_ever(NULL, NULL);
    return NULL;
}

static void running(void)
{
    pthread_t thread;

    set_current(7);
    if (is_right) {
        pool = g_thread_pool_new(wait_for_ever, NULL, 1, TRUE, NULL);
        g_thread_pool_push(pool, &started, NULL);
    } else {
        pthread_create(&thread, NULL, thread_for_ever, NULL);
    }
    gate_wait(&started);
}

static void in_child(void)
{
    GMainContext *main_context = g_main_context_new();
    GSource *source;
    int status = 0;
    pid_t child;

    set_current(7);
    source = keep_request(main_context);
    child = fork();
    if (child == 0)
        exit(0);
    waitpid(child, &status, 0);
    g_source_destroy(source);
    g_source_unref(source);
    g_main_context_unref(main_context);
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "";

    is_right = argc > 2 && !strcmp(argv[2], "right");
    carrier_choose(argc > 3 ? argv[3] : "key");
    if (!strcmp(mode, "leak"))
        leak();
    else if (!strcmp(mode, "old"))
        old();
    else if (!strcmp(mode, "dirty"))
        dirty();
    else if (!strcmp(mode, "again"))
        again();
    else if (!strcmp(mode, "enter"))
        enter();
    else if (!strcmp(mode, "detach"))
        detach();
    else if (!strcmp(mode, "running"))
        running();
    else if (!strcmp(mode, "child"))
        in_child();
    else
        return 2;
    return 0;
}
