/*
 * GLib: threads that the program starts. One that cannot be made lets go of what it was to inherit.
 */
#include "context/thread.h"
#include "families/handoff.h"
#include "interpose/inherit.h"
#include "interpose/next.h"

static GUARDED void *run_thread(void *arg)
{
    GUARDED_FRAME();
    struct thread *self = arg;
    void *result;

    START_RUN(self, result = ((void *(*)(void *))self->start.function)(self->start.data));
    return result;
}

static struct thread *capture_thread(const void *caller, void *(*function)(void *), void *data)
{
    if (!function || !creator_inherits(caller))
        return NULL;
    return start_capture(FAMILY_GLIB_THREAD, (void *)function, data);
}

/* g_thread_new ends the program when no thread can be made: there is nothing to take back then. */
struct _GThread *hook_g_thread_new(const char *name, void *(*function)(void *), void *data)
{
    struct thread *started = capture_thread(__builtin_return_address(0), function, data);

    if (!started)
        return REAL(g_thread_new)(name, function, data);
    return REAL(g_thread_new)(name, run_thread, started);
}

struct _GThread *hook_g_thread_try_new(const char *name, void *(*function)(void *), void *data,
                                       struct _GError **error)
{
    struct thread *started = capture_thread(__builtin_return_address(0), function, data);
    struct _GThread *thread;

    if (!started)
        return REAL(g_thread_try_new)(name, function, data, error);
    thread = REAL(g_thread_try_new)(name, run_thread, started, error);
    if (!thread)
        start_rollback(FAMILY_GLIB_THREAD, started, 0);
    return thread;
}

struct _GThread *hook_g_thread_create(void *(*function)(void *), void *data, int joinable,
                                      struct _GError **error)
{
    struct thread *started = capture_thread(__builtin_return_address(0), function, data);
    struct _GThread *thread;

    if (!started)
        return REAL(g_thread_create)(function, data, joinable, error);
    thread = REAL(g_thread_create)(run_thread, started, joinable, error);
    if (!thread)
        start_rollback(FAMILY_GLIB_THREAD, started, 0);
    return thread;
}

struct _GThread *hook_g_thread_create_full(void *(*function)(void *), void *data,
                                           unsigned long stack_size, int joinable, int bound,
                                           int priority, struct _GError **error)
{
    struct thread *started = capture_thread(__builtin_return_address(0), function, data);
    struct _GThread *thread;

    if (!started)
        return REAL(g_thread_create_full)(function, data, stack_size, joinable, bound, priority,
                                          error);
    thread = REAL(g_thread_create_full)(run_thread, started, stack_size, joinable, bound, priority,
                                        error);
    if (!thread)
        start_rollback(FAMILY_GLIB_THREAD, started, 0);
    return thread;
}
