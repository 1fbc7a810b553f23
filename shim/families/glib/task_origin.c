/* See task_origin.h. A task that is looked for is referenced by the thread that looks, so it is not forgotten meanwhile. */
#include "families/glib/task_origin.h"

#include "base/map.h"

static struct map tasks;
_Atomic bool glib_has_tasks;

bool glib_task_remember(const void *task, struct context *context)
{
    void *old;

    if (!atomic_load_explicit(&glib_has_tasks, memory_order_relaxed))
        atomic_store(&glib_has_tasks, true);
    if (!map_put(&tasks, task, context, &old))
        return false;
    if (old)
        context_release(old);
    return true;
}

void glib_task_forget(const void *task)
{
    struct context *context = map_take(&tasks, task);

    if (context)
        context_release(context);
}

struct context *glib_task_find(const void *data)
{
    struct context *context = data ? map_find(&tasks, data) : NULL;

    return context ? context_ref(context) : NULL;
}
