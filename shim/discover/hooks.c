/*
 * The calls by which threads wait for and wake each other, start, and keep values under keys. Each goes on to the
 * real function and answers what it answered; nothing of ours is held meanwhile, because it may be cancelled.
 */
#include <dlfcn.h>
#include <errno.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdarg.h>
#include <string.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "base/sys.h"
#include "discover/hooks.h"
#include "discover/own.h"

/* Volatile: the compiler is told that dlsym calls none of ours. */
static __thread volatile int is_looking;

/* The next definition. pthread_cond_* have an older version with another layout. */
void *discover_next(const char *name, const char *version)
{
    void *found;

    is_looking++;
    found = version ? OWN(dlvsym)(RTLD_NEXT, name, version) : NULL;
    found = found ? found : OWN(dlsym)(RTLD_NEXT, name);
    is_looking--;
    return found;
}

/* Where there is an older one; elsewhere no version has this name, and there is one only. */
#define COND_VERSION "GLIBC_2.3.2"

/* ---- conditions and semaphores ---- */

EXPORTED int pthread_cond_signal(pthread_cond_t *cond)
{
    WAKE(BY_COND, cond);
    return NEXT(pthread_cond_signal, COND_VERSION)(cond);
}

EXPORTED int pthread_cond_broadcast(pthread_cond_t *cond)
{
    WAKE(BY_COND, cond);
    return NEXT(pthread_cond_broadcast, COND_VERSION)(cond);
}

EXPORTED int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    return WAITING(BY_COND, cond, NEXT(pthread_cond_wait, COND_VERSION)(cond, mutex));
}

EXPORTED int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                    const struct timespec *until)
{
    return WAITING(BY_COND, cond, NEXT(pthread_cond_timedwait, COND_VERSION)(cond, mutex, until));
}

EXPORTED int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                    const struct timespec *until)
{
    return WAITING(BY_COND, cond, NEXT(pthread_cond_clockwait, NULL)(cond, mutex, clock, until));
}

EXPORTED int cnd_signal(cnd_t *cond)
{
    WAKE(BY_COND, cond);
    return NEXT(cnd_signal, NULL)(cond);
}

EXPORTED int cnd_broadcast(cnd_t *cond)
{
    WAKE(BY_COND, cond);
    return NEXT(cnd_broadcast, NULL)(cond);
}

EXPORTED int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
    return WAITING(BY_COND, cond, NEXT(cnd_wait, NULL)(cond, mutex));
}

EXPORTED int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
    return WAITING(BY_COND, cond, NEXT(cnd_timedwait, NULL)(cond, mutex, until));
}

EXPORTED int sem_post(sem_t *sem)
{
    WAKE(BY_SEM, sem);
    return NEXT(sem_post, NULL)(sem);
}

EXPORTED int sem_wait(sem_t *sem)
{
    return WAITING(BY_SEM, sem, NEXT(sem_wait, NULL)(sem));
}

EXPORTED int sem_timedwait(sem_t *sem, const struct timespec *until)
{
    return WAITING(BY_SEM, sem, NEXT(sem_timedwait, NULL)(sem, until));
}

EXPORTED int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    return WAITING(BY_SEM, sem, NEXT(sem_clockwait, NULL)(sem, clock, until));
}

/* ---- futexes by their own system call ---- */

static bool is_busy(void)
{
    return !page || (own && own->is_busy);
}

/* All arguments lie in registers, however many the caller has given. */
EXPORTED long syscall(long number, ...)
{
    long (*next)(long, ...) = NEXT(syscall, NULL);
    long a, b, c, d, e, f;
    va_list args;

    va_start(args, number);
    a = va_arg(args, long);
    b = va_arg(args, long);
    c = va_arg(args, long);
    d = va_arg(args, long);
    e = va_arg(args, long);
    f = va_arg(args, long);
    va_end(args);
    if (number == SYS_futex && !is_busy()) {
        int what = (int)b & FUTEX_CMD_MASK;

        if (what == FUTEX_WAKE || what == FUTEX_WAKE_BITSET)
            WAKE(BY_FUTEX, a);
        else if (what == FUTEX_WAIT || what == FUTEX_WAIT_BITSET)
            return WAITING(BY_FUTEX, a, next(number, a, b, c, d, e, f));
    }
    return next(number, a, b, c, d, e, f);
}

/* ---- threads ---- */

struct starting {
    void *(*start)(void *);
    int (*start_c11)(void *);
    void *arg;
    uint32_t creator;
    uint64_t number;
};

static uint64_t starts;

static const struct discover_module *module_of(const void *address)
{
    uintptr_t at = (uintptr_t)address;

    for (uint32_t i = 0; i < page->modules && i < DISCOVER_MODULES; i++) {
        if (at >= page->module[i].lo && at < page->module[i].hi)
            return &page->module[i];
    }
    return NULL;
}

/* What a thread begins with. libstdc++ starts all of std::thread by a function of its own, which calls the third
 * virtual function, after the destructors, of the object that it is given: that one is the program's. */
static const void *first_function(const void *routine, void *arg)
{
    enum { RUN = 2 };
    const struct discover_module *module = module_of(routine);
    const void *const *object = arg;

    return module && arg && strstr(module->path, "/libstdc++.so")
               ? ((const void *const *)object[0])[RUN]
               : routine;
}

static void begin_thread(const struct starting *starting)
{
    const void *routine = first_function(starting->start ? (const void *)starting->start
                                                         : (const void *)starting->start_c11,
                                         starting->arg);

    /* A place in it, as return addresses are. */
    if (recorder_begin(starting->creator, routine))
        record_event(DISCOVER_START, BY_THREAD, starting->number, (uintptr_t)routine,
                     (const char *)routine + 1);
}

static void end_thread(void *unused)
{
    record_event(DISCOVER_END, BY_THREAD, 0, 0, FROM);
    recorder_end();
}

static void *run_thread(void *arg)
{
    struct starting starting = *(struct starting *)arg;
    void *result;

    sys_unmap(arg, sizeof starting);
    begin_thread(&starting);
    pthread_cleanup_push(end_thread, NULL);
    result = starting.start(starting.arg);
    pthread_cleanup_pop(1);
    return result;
}

static int run_thread_c11(void *arg)
{
    struct starting starting = *(struct starting *)arg;
    int result;

    sys_unmap(arg, sizeof starting);
    begin_thread(&starting);
    pthread_cleanup_push(end_thread, NULL);
    result = starting.start_c11(starting.arg);
    pthread_cleanup_pop(1);
    return result;
}

/* NULL: it starts without us. */
static struct starting *starting_make(const void *routine, const void *from)
{
    struct recorder *recorder = recorder_own();
    struct starting *starting = recorder && !recorder->is_busy ? sys_map(sizeof *starting, -1)
                                                               : NULL;

    if (!starting)
        return NULL;
    starting->creator = recorder->thread;
    starting->number = __atomic_add_fetch(&starts, 1, __ATOMIC_RELAXED);
    record_event(DISCOVER_CREATE, BY_THREAD, starting->number, (uintptr_t)routine, from);
    return starting;
}

EXPORTED int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *),
                            void *arg)
{
    struct starting *starting = starting_make((const void *)start, FROM);
    int result;

    if (!starting)
        return NEXT(pthread_create, NULL)(thread, attr, start, arg);
    starting->start = start;
    starting->arg = arg;
    result = NEXT(pthread_create, NULL)(thread, attr, run_thread, starting);
    if (result != 0)
        sys_unmap(starting, sizeof *starting);
    return result;
}

EXPORTED int thrd_create(thrd_t *thread, thrd_start_t start, void *arg)
{
    struct starting *starting = starting_make((const void *)start, FROM);
    int result;

    if (!starting)
        return NEXT(thrd_create, NULL)(thread, start, arg);
    starting->start_c11 = start;
    starting->arg = arg;
    result = NEXT(thrd_create, NULL)(thread, run_thread_c11, starting);
    if (result != thrd_success)
        sys_unmap(starting, sizeof *starting);
    return result;
}

/* ---- keys ---- */

EXPORTED int pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    int result = NEXT(pthread_key_create, NULL)(key, destructor);

    if (result == 0)
        key_made(*key, key, (const void *)destructor, FROM);
    return result;
}

extern int __pthread_key_create(pthread_key_t *key, void (*destructor)(void *));

EXPORTED int __pthread_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    int result;

    /* Before glibc 2.34 the first dlsym makes a key for its errors, by this name, and would wait for itself. Without one it
     * keeps them in a place of its own. */
    if (is_looking)
        return EAGAIN;
    result = NEXT(pthread_key_create, NULL)(key, destructor);

    if (result == 0)
        key_made(*key, key, (const void *)destructor, FROM);
    return result;
}

EXPORTED int tss_create(tss_t *key, tss_dtor_t destructor)
{
    int result = NEXT(tss_create, NULL)(key, destructor);

    if (result == thrd_success)
        key_made(*key, key, (const void *)destructor, FROM);
    return result;
}

EXPORTED int pthread_key_delete(pthread_key_t key)
{
    key_gone(key);
    return NEXT(pthread_key_delete, NULL)(key);
}

EXPORTED void tss_delete(tss_t key)
{
    key_gone(key);
    NEXT(tss_delete, NULL)(key);
}

EXPORTED void *pthread_getspecific(pthread_key_t key)
{
    void *value = NEXT(pthread_getspecific, NULL)(key);

    key_got(key, value, FROM);
    return value;
}

EXPORTED void *tss_get(tss_t key)
{
    void *value = NEXT(tss_get, NULL)(key);

    key_got(key, value, FROM);
    return value;
}

EXPORTED int pthread_setspecific(pthread_key_t key, const void *value)
{
    key_set(key, value, FROM);
    return NEXT(pthread_setspecific, NULL)(key, value);
}

EXPORTED int tss_set(tss_t key, void *value)
{
    key_set(key, value, FROM);
    return NEXT(tss_set, NULL)(key, value);
}

extern void *discover_read(unsigned number);
void *discover_read(unsigned number)
{
    return NEXT(pthread_getspecific, NULL)(number);
}
