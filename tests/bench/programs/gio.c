/* GIO: a task that is finished at once, and one that does its work in a thread; the callback of both. */
#include "drive.h"

#include <gio/gio.h>

static size_t called, awaited;

static void on_done(GObject *source, GAsyncResult *result, gpointer data)
{
    (void)source;
    (void)result;
    called++;
    drive_task(GPOINTER_TO_SIZE(data));
}

static void setup(size_t count)
{
    (void)count;
}

static void finish_at_once(size_t index)
{
    GTask *task = g_task_new(NULL, NULL, on_done, GSIZE_TO_POINTER(index));

    awaited++;
    g_task_return_boolean(task, TRUE);
    g_object_unref(task);
}

static void work(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
    (void)source;
    (void)data;
    (void)cancellable;
    g_task_return_boolean(task, TRUE);
}

static void run_in_thread(size_t index)
{
    GTask *task = g_task_new(NULL, NULL, on_done, GSIZE_TO_POINTER(index));

    awaited++;
    g_task_run_in_thread(task, work);
    g_object_unref(task);
}

static void iterate(void)
{
    while (called < awaited)
        g_main_context_iteration(NULL, TRUE);
}

const struct way drive_ways[] = {
    {.name = "gio.task",
     .setup = setup,
     .submit = finish_at_once,
     .finish = iterate,
     .is_same_thread = true},
    {.name = "gio.thread",
     .setup = setup,
     .submit = run_in_thread,
     .finish = iterate,
     .is_same_thread = true},
    {0},
};
