/*
 * GIO: tasks. A task's callback runs in the context in which the task was made, whoever finishes it.
 *
 * What a task does in a thread goes through GThreadPool; how it tells its callback goes through a
 * source (glib_source.c). What is missing is who asked, when another thread finishes it: a reply
 * on D-Bus is read by GIO's worker. libgio makes every task by g_object_new, through its
 * procedure linkage table, so there the context is taken.
 *
 * Source of the behaviour: GLib 2.74.6, gtask.c, gobject.c (g_object_new is g_object_new_valist).
 * g_task_get_type is not called before the program does: it would start GIO's own thread.
 */
#include <stdarg.h>
#include <string.h>

#include "families/glib/task_origin.h"
#include "families/handoff.h"
#include "interpose/reentry.h"
#include "interpose/next.h"

static struct library_named gio = {.name = "libgio-2.0"};
static _Atomic unsigned long task_type, result_type;

/* Types are registered once and for all; their names are looked at until both kinds have been met. */
static bool is_task(unsigned long type, const void *caller)
{
    const char *name;

    if (type == atomic_load_explicit(&task_type, memory_order_relaxed) ||
        type == atomic_load_explicit(&result_type, memory_order_relaxed))
        return type != 0;
    if (!address_is_of(&gio, caller))
        return false;
    name = NEXT(const char *(*)(unsigned long), "g_type_name", caller)(type);
    if (!name)
        return false;
    if (!strcmp(name, "GTask"))
        atomic_store(&task_type, type);
    else if (!strcmp(name, "GSimpleAsyncResult"))
        atomic_store(&result_type, type);
    else
        return false;
    return true;
}

/* The last reference to a task is going. */
static void task_ends(void *unused, void *task)
{
    glib_task_forget(task);
}

static void remember(void *task, const void *caller)
{
    struct context *context = context_capture(FAMILY_GLIB_TASK);

    if (!context)
        return;
    if (!glib_task_remember(task, context)) {
        context_rollback(FAMILY_GLIB_TASK, context);
        context_count_bare(FAMILY_GLIB_TASK, BARE_MEMORY);
        return;
    }
    NEXT(void (*)(void *, void (*)(void *, void *), void *), "g_object_weak_ref", caller)
    (task, task_ends, NULL);
}

void *hook_g_object_new(unsigned long type, const char *first, ...)
{
    const void *caller = __builtin_return_address(0);
    va_list properties;
    void *object;

    va_start(properties, first);
    object = NEXT(void *(*)(unsigned long, const char *, va_list), "g_object_new_valist",
                  caller)(type, first, properties);
    va_end(properties);
    if (unlikely(object && is_task(type, caller)))
        remember(object, caller);
    return object;
}
