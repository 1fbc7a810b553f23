/*
 * GIO tasks that are under way, and the contexts they were made in.
 *
 * A task may be finished by a thread that knows nothing of the caller that asked (a D-Bus reply comes to GIO's
 * worker), and its callback then runs from a source that this thread makes. Kept by address until
 * the task is finalised.
 */
#ifndef BATON_FAMILIES_GLIB_TASK_ORIGIN_H
#define BATON_FAMILIES_GLIB_TASK_ORIGIN_H

#include <stdbool.h>

#include "context/context.h"

/* Takes over the reference. False: no memory, it stays the caller's. */
bool glib_task_remember(const void *task, struct context *context);
void glib_task_forget(const void *task);

/* There was a task to remember. */
extern _Atomic bool glib_has_tasks __attribute__((visibility("hidden")));
struct context *glib_task_find(const void *data);

/* A reference to the context of a task that is remembered; NULL: `data` is none. Who has a task saw it remembered. */
static inline struct context *glib_task_context(const void *data)
{
    if (likely(!atomic_load_explicit(&glib_has_tasks, memory_order_relaxed)))
        return NULL;
    return glib_task_find(data);
}

#endif
