/*
 * pthread_create and thrd_create: a thread that the program starts inherits its creator's context
 * (rule 12). Everything that starts threads through them is covered: std::thread, Rust, GLib, libuv.
 *
 * Order at a thread's end (glibc 2.36, start_thread): the start routine returns or unwinds, then
 * C++ thread_local destructors, then key destructors. We detach inside the start routine, so all of
 * those see the thread's own values.
 */
#include <string.h>

#include "context/fast.h"
#include "context/thread.h"
#include "context/unwind.h"
#include "families/handoff.h"
#include "interpose/inherit.h"

typedef void *start_routine(void *arg);

static GUARDED void *run_thread_slow(struct thread *self)
{
    GUARDED_FRAME();
    void *result;

    START_RUN(self, result = ((start_routine *)self->start.function)(self->start.data));
    return result;
}

static GUARDED void *run_thread(void *arg)
{
    GUARDED_FRAME();
    struct thread *self = arg;
    void *result;

    if (unlikely(!thread_starts_plainly(self)))
        return run_thread_slow(self);
    START_RUN_FAST(self, result = ((start_routine *)self->start.function)(self->start.data));
    return result;
}

static GUARDED int run_c11_thread_slow(struct thread *self)
{
    GUARDED_FRAME();
    int result;

    START_RUN(self, result = ((int (*)(void *))self->start.function)(self->start.data));
    return result;
}

static GUARDED int run_c11_thread(void *arg)
{
    GUARDED_FRAME();
    struct thread *self = arg;
    int result;

    if (unlikely(!thread_starts_plainly(self)))
        return run_c11_thread_slow(self);
    START_RUN_FAST(self, result = ((int (*)(void *))self->start.function)(self->start.data));
    return result;
}

/* ---- threads that do not inherit, where no key tells of their end ---- */

struct unseen {
    void *function, *arg;
};

personality_routine baton_unseen_personality;

__attribute__((used, visibility("hidden"))) int
baton_unseen_personality(int version, int actions, uint64_t exception_class,
                         struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding)
{
    if (actions & UNWIND_CLEANUP_PHASE)
        thread_leave(thread_self);
    return UNWIND_CONTINUE;
}

ARCH_PERSONALITY(baton_unseen_personality);

static struct unseen unseen_take(struct unseen *unseen)
{
    struct unseen taken = *unseen;

    mem_free(unseen, sizeof *unseen);
    return taken;
}

static GUARDED void *run_unseen(void *arg)
{
    GUARDED_FRAME_BY(baton_unseen_personality);
    struct unseen unseen = unseen_take(arg);
    void *result = ((start_routine *)unseen.function)(unseen.arg);

    thread_leave(thread_self);
    return result;
}

static GUARDED int run_unseen_c11(void *arg)
{
    GUARDED_FRAME_BY(baton_unseen_personality);
    struct unseen unseen = unseen_take(arg);
    int result = ((int (*)(void *))unseen.function)(unseen.arg);

    thread_leave(thread_self);
    return result;
}

/* NULL: nothing has to be done for it, or cannot. */
static struct unseen *unseen_new(void *function, void *arg)
{
    struct unseen *unseen = likely(thread_ends_are_seen) || !function ? NULL
                                                                      : mem_alloc(sizeof *unseen);

    if (unseen)
        *unseen = (struct unseen){function, arg};
    return unseen;
}

static int create_bare(unsigned long *thread, const union pthread_attr_t *attributes,
                       start_routine *start, void *arg)
{
    struct unseen *unseen = unseen_new((void *)start, arg);
    int error;

    if (likely(!unseen))
        return REAL(pthread_create)(thread, attributes, start, arg);
    error = REAL(pthread_create)(thread, attributes, run_unseen, unseen);
    if (error)
        mem_free(unseen, sizeof *unseen);
    return error;
}

static int create_bare_c11(unsigned long *thread, int (*start)(void *), void *arg)
{
    struct unseen *unseen = unseen_new((void *)start, arg);
    int error;

    if (likely(!unseen))
        return REAL(thrd_create)(thread, start, arg);
    error = REAL(thrd_create)(thread, run_unseen_c11, unseen);
    if (error)
        mem_free(unseen, sizeof *unseen);
    return error;
}

/* ---- the hooks ---- */

static __attribute__((noinline)) int create_slow(unsigned long *thread,
                                                 const union pthread_attr_t *attributes,
                                                 start_routine *start, void *arg,
                                                 const void *caller)
{
    struct thread *started;
    int error;

    if (!start || !thread_inherits(caller, arg) ||
        !(started = start_capture(FAMILY_PTHREAD, (void *)start, arg)))
        return create_bare(thread, attributes, start, arg);
    error = REAL(pthread_create)(thread, attributes, run_thread, started);
    return error ? start_rollback(FAMILY_PTHREAD, started, error) : 0;
}

int hook_pthread_create(unsigned long *thread, const union pthread_attr_t *attributes,
                        start_routine *start, void *arg)
{
    struct thread *self = thread_self, *started;
    int error;

    if (unlikely(!start || !thread_inherits_surely(__builtin_return_address(0)) ||
                 !hook_real[HOOK_pthread_create] ||
                 !(started = start_try_capture(self, FAMILY_PTHREAD, (void *)start, arg))))
        return create_slow(thread, attributes, start, arg, __builtin_return_address(0));
    error = ((REAL_TYPE(pthread_create))hook_real[HOOK_pthread_create])(thread, attributes,
                                                                        run_thread, started);
    return unlikely(error) ? start_rollback(FAMILY_PTHREAD, started, error) : 0;
}

static __attribute__((noinline)) int create_c11_slow(unsigned long *thread, int (*start)(void *),
                                                     void *arg, const void *caller)
{
    struct thread *started;
    int error;

    if (!start || !creator_inherits(caller) ||
        !(started = start_capture(FAMILY_PTHREAD, (void *)start, arg)))
        return create_bare_c11(thread, start, arg);
    error = REAL(thrd_create)(thread, run_c11_thread, started);
    return error ? start_rollback(FAMILY_PTHREAD, started, error) : 0;
}

int hook_thrd_create(unsigned long *thread, int (*start)(void *), void *arg)
{
    struct thread *self = thread_self, *started;
    int error;

    if (unlikely(!start || !thread_inherits_surely(__builtin_return_address(0)) ||
                 !hook_real[HOOK_thrd_create] ||
                 !(started = start_try_capture(self, FAMILY_PTHREAD, (void *)start, arg))))
        return create_c11_slow(thread, start, arg, __builtin_return_address(0));
    error = ((REAL_TYPE(thrd_create))hook_real[HOOK_thrd_create])(thread, run_c11_thread, started);
    return unlikely(error) ? start_rollback(FAMILY_PTHREAD, started, error) : 0;
}

void hook_pthread_exit(void *result)
{
    thread_will_exit();
    REAL(pthread_exit)(result);
}

void hook_thrd_exit(int result)
{
    thread_will_exit();
    REAL(thrd_exit)(result);
}
