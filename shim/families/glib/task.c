/*
 * GIO: tasks. A task's callback runs in the context in which the task was made, whoever finishes it.
 *
 * What a task does in a thread goes through GThreadPool; how it tells its callback goes through a
 * source (source.c). What is missing is the caller that asked, when another thread finishes it: a reply
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

/* What GObjectClass begins with: documented, so that classes can be derived. */
struct object_class {
    unsigned long type;
    void *construct_properties;
    void *constructor, *set_property, *get_property, *dispose;
    void (*finalize)(void *object);
};

/* Both kinds, met at the first object of each; `finalize` is its class's own. */
static struct kind {
    _Atomic unsigned long type;
    void (*_Atomic finalize)(void *object);
} tasks, results;

/* The last reference is gone. A class that is derived later may have copied this from ours. */
static void task_finalize(void *task)
{
    void (*own)(void *) = atomic_load(&tasks.finalize);

    glib_task_forget(task);
    own(task);
}

static void result_finalize(void *result)
{
    void (*own)(void *) = atomic_load(&results.finalize);

    glib_task_forget(result);
    own(result);
}

/*
 * Ends are seen in the class's finalize, whose place is part of GObject's interface: a weak reference
 * would take two allocations a task. Any thread may be first; all of them read and write the same.
 */
static void meet(struct kind *kind, unsigned long type, struct object_class *class,
                 void (*finalize)(void *))
{
    void (*own)(void *) = __atomic_load_n(&class->finalize, __ATOMIC_ACQUIRE);

    if (own != finalize) {
        atomic_store(&kind->finalize, own);
        __atomic_store_n(&class->finalize, finalize, __ATOMIC_RELEASE);
    }
    atomic_store(&kind->type, type);
}

/* Types are registered once and for all; their names are looked at until both kinds have been met. */
static bool is_task(const void *object, unsigned long type, const void *caller)
{
    const char *name;

    if (type == atomic_load_explicit(&tasks.type, memory_order_acquire) ||
        type == atomic_load_explicit(&results.type, memory_order_acquire))
        return type != 0;
    if (!address_is_of(&gio, caller))
        return false;
    name = NEXT(const char *(*)(unsigned long), "g_type_name", caller)(type);
    if (!name)
        return false;
    if (!strcmp(name, "GTask"))
        meet(&tasks, type, *(struct object_class *const *)object, task_finalize);
    else if (!strcmp(name, "GSimpleAsyncResult"))
        meet(&results, type, *(struct object_class *const *)object, result_finalize);
    else
        return false;
    return true;
}

static void remember(void *task)
{
    struct context *context = context_capture(FAMILY_GLIB_TASK);

    if (!context)
        return;
    if (!glib_task_remember(task, context)) {
        context_rollback(FAMILY_GLIB_TASK, context);
        context_count_bare(FAMILY_GLIB_TASK, BARE_MEMORY);
    }
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
    if (unlikely(object && is_task(object, type, caller)))
        remember(object);
    return object;
}
