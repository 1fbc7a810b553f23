// The owner replaces, or clears, a value while tasks hold it; or only afterwards; or runs a task meanwhile, and keeps it.
// libs: glib-2.0
// link: -rdynamic
// usage: dangling replaced|cleared|waits|number|aside [key|tls|fn|swap]
#include "carrier.h"
#include <glib.h>

pthread_key_t item_key;
__thread void *item_tls;
static __thread void *behind_item;
static const char *kind;
static struct gate gate = GATE_CLOSED, done = GATE_CLOSED;
static void *task_saw;

__attribute__((noinline, used)) void *item_get(void)
{
    return behind_item;
}

__attribute__((noinline, used)) void item_set(void *value)
{
    behind_item = value;
}

__attribute__((noinline, used)) void *item_swap(void *value)
{
    void *old = behind_item;
    behind_item = value;
    return old;
}

static void set(void *value)
{
    if (!strcmp(kind, "key"))
        pthread_setspecific(item_key, value);
    else if (!strcmp(kind, "tls"))
        item_tls = value;
    else if (!strcmp(kind, "fn"))
        item_set(value);
    else
        item_swap(value);
}

static void *get(void)
{
    if (!strcmp(kind, "key"))
        return pthread_getspecific(item_key);
    return !strcmp(kind, "tls") ? item_tls : item_get();
}

static void work(gpointer data, gpointer user_data)
{
    gate_wait(&gate);
    task_saw = get();
    gate_open(&done);
}

__attribute__((noinline)) void serve_request(GThreadPool *pool)
{
    for (volatile int i = 0; i < 3; i++)
        g_thread_pool_push(pool, pool, NULL);
}

/* On the owner's own thread, while its request waits: the tasks of the request begin and end. */
static gboolean other_work(gpointer loop)
{
    expect("the other task has", get() != NULL, 0);
    gate_open(&gate);
    gate_wait(&done);
    g_main_loop_quit(loop);
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
    const char *mode = argc > 1 ? argv[1] : "replaced";
    static long items[2];
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    GMainLoop *loop = g_main_loop_new(NULL, FALSE);
    kind = argc > 2 ? argv[2] : "key";
    pthread_key_create(&item_key, NULL);
    if (!strcmp(mode, "aside"))
        g_idle_add(other_work, loop);
    set(!strcmp(mode, "number") ? (void *)17L : (void *)&items[0]);
    serve_request(pool);
    if (!strcmp(mode, "aside")) {
        g_main_loop_run(loop);
        expect("the request's task has", task_saw == &items[0], 1);
        expect("its owner has", get() == &items[0], 1);
    }
    if (!strcmp(mode, "waits") || !strcmp(mode, "aside")) {
        gate_open(&gate);
        g_thread_pool_free(pool, FALSE, TRUE);
        pool = NULL;
    }
    set(!strcmp(mode, "replaced") ? &items[1] : NULL);
    if (pool)
        g_thread_pool_push(pool, pool, NULL); /* the owner goes on with something else */
    gate_open(&gate);
    if (pool)
        g_thread_pool_free(pool, FALSE, TRUE);
    g_main_loop_unref(loop);
    return wrong_results != 0;
}
