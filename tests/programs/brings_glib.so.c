// An adapter of nothing, which needs late_word.so, brings GLib into a program that has none, and hands over tasks for it.
// flags: -Iinclude
// libs: glib-2.0
#include <glib.h>

#include "baton_adapter.h"

extern long *late_word_at(void);
extern int (*brought_run)(void (*task)(long), void (*before)(long), int tasks);

static void run_task(gpointer number, gpointer task)
{
    ((void (*)(long))task)(GPOINTER_TO_INT(number));
}

static int run(void (*task)(long), void (*before)(long), int tasks)
{
    GThreadPool *pool = g_thread_pool_new(run_task, (gpointer)task, 1, TRUE, NULL);

    for (int i = 1; pool && i <= tasks; i++) {
        before(i);
        g_thread_pool_push(pool, GINT_TO_POINTER(i), NULL);
    }
    if (pool)
        g_thread_pool_free(pool, FALSE, TRUE);
    return !pool;
}

__attribute__((constructor)) static void come(void)
{
    if (*late_word_at())
        brought_run = run;
}

static enum baton_adapter_result capture(void **captured)
{
    *captured = NULL;
    return BATON_ADAPTER_NONE;
}

static enum baton_adapter_result attach(void *captured, void **attached)
{
    (void)captured;
    *attached = NULL;
    return BATON_ADAPTER_OK;
}

static void nothing(void *object)
{
    (void)object;
}

__attribute__((visibility("default"))) const struct baton_adapter baton_adapter = {
    .version = BATON_ADAPTER_VERSION,
    .name = "brings",
    .capture = capture,
    .attach = attach,
    .detach = nothing,
    .release = nothing,
    .detach_at_end = nothing,
};
