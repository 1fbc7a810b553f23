/*
 * pthread_create and thrd_create: a thread that the program starts inherits its creator's context
 * (rule 12). Everything that starts threads through them is covered: std::thread, Rust, GLib, libuv.
 *
 * Order at a thread's end (glibc 2.36, start_thread): the start routine returns or unwinds, then
 * C++ thread_local destructors, then key destructors. We detach inside the start routine, so all of
 * those see the thread's own values.
 */
#include <string.h>

#include "context/thread.h"
#include "handoffs/handoff.h"
#include "handoffs/inherit.h"

static GUARDED void *run_thread(void *arg)
{
    GUARDED_FRAME();
    struct record record = record_take_in_new_thread(arg);
    void *(*start)(void *) = (void *(*)(void *))record.function;
    void *result;

    SCOPE_RUN(record.context, MARK_OWNED | MARK_THREAD, result = start(record.data));
    thread_leave(thread_self);
    return result;
}

static GUARDED int run_c11_thread(void *arg)
{
    GUARDED_FRAME();
    struct record record = record_take_in_new_thread(arg);
    int (*start)(void *) = (int (*)(void *))record.function;
    int result;

    SCOPE_RUN(record.context, MARK_OWNED | MARK_THREAD, result = start(record.data));
    thread_leave(thread_self);
    return result;
}

int hook_pthread_create(unsigned long *thread, const union pthread_attr_t *attributes, void *(*start)(void *),
                        void *arg)
{
    struct record *record;
    int error;

    if (!start || !thread_inherits(__builtin_return_address(0)) ||
        !(record = record_capture(FAMILY_PTHREAD, (void *)start, arg)))
        return REAL(pthread_create)(thread, attributes, start, arg);
    error = REAL(pthread_create)(thread, attributes, run_thread, record);
    if (unlikely(error))
        record_rollback(FAMILY_PTHREAD, record);
    return error;
}

int hook_thrd_create(unsigned long *thread, int (*start)(void *), void *arg)
{
    struct record *record;
    int error;

    if (!start || !thread_inherits(__builtin_return_address(0)) ||
        !(record = record_capture(FAMILY_PTHREAD, (void *)start, arg)))
        return REAL(thrd_create)(thread, start, arg);
    error = REAL(thrd_create)(thread, run_c11_thread, record);
    if (unlikely(error))
        record_rollback(FAMILY_PTHREAD, record);
    return error;
}
