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

/* A reference to the context of a task that is remembered; NULL: `data` is none. */
struct context *glib_task_context(const void *data);

#endif
