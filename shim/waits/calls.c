/*
 * The calls by which threads wait for and wake each other: conditions, semaphores, and futexes by their own system call.
 *
 * Rule: whatever may wait ends in a jump to the real function.
 */
#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/arch.h"
#include "elf/elf.h"
#include "waits/calls.h"

struct waits_next waits_next;

/* By the loader's list, which asks nobody: a call may come before anything else of ours has run. Of
 * pthread_cond_wait and its like that is the newer version, which all programs of this processor use. */
__attribute__((constructor)) void waits_find_next(void)
{
#define CALL(name)        \
    if (!waits_next.name) \
        waits_next.name = (__typeof__(waits_next.name))elf_linked_after(&baton_waits_page, #name);
    CALLS(CALL)
#undef CALL
}

/* ---- conditions and semaphores ---- */

EXPORTED int pthread_cond_signal(pthread_cond_t *cond)
{
    NOTE(cond, false);
    return NEXT(pthread_cond_signal)(cond);
}

EXPORTED int pthread_cond_broadcast(pthread_cond_t *cond)
{
    NOTE(cond, false);
    return NEXT(pthread_cond_broadcast)(cond);
}

EXPORTED int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    NOTE(cond, true);
    return NEXT(pthread_cond_wait)(cond, mutex);
}

EXPORTED int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                    const struct timespec *until)
{
    NOTE(cond, true);
    return NEXT(pthread_cond_timedwait)(cond, mutex, until);
}

EXPORTED int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                    const struct timespec *until)
{
    NOTE(cond, true);
    return NEXT(pthread_cond_clockwait)(cond, mutex, clock, until);
}

EXPORTED int cnd_signal(cnd_t *cond)
{
    NOTE(cond, false);
    return NEXT(cnd_signal)(cond);
}

EXPORTED int cnd_broadcast(cnd_t *cond)
{
    NOTE(cond, false);
    return NEXT(cnd_broadcast)(cond);
}

EXPORTED int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
    NOTE(cond, true);
    return NEXT(cnd_wait)(cond, mutex);
}

EXPORTED int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
    NOTE(cond, true);
    return NEXT(cnd_timedwait)(cond, mutex, until);
}

EXPORTED int sem_post(sem_t *sem)
{
    NOTE(sem, false);
    return NEXT(sem_post)(sem);
}

EXPORTED int sem_wait(sem_t *sem)
{
    NOTE(sem, true);
    return NEXT(sem_wait)(sem);
}

EXPORTED int sem_timedwait(sem_t *sem, const struct timespec *until)
{
    NOTE(sem, true);
    return NEXT(sem_timedwait)(sem, until);
}

EXPORTED int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    NOTE(sem, true);
    return NEXT(sem_clockwait)(sem, clock, until);
}

/* ---- futexes by their own system call ---- */

enum {
    CONTENDED = 2
}; /* what a lock has that others wait for, in every C library and run time: no pool's */

/*
 * Six arguments of its seven lie in registers, or all. The last stays where the caller has put it, because this ends
 * in a jump; to take it and pass it on would write to the stack of a caller that has given fewer.
 */
#if ARCH_REGISTER_ARGUMENTS < 7 && defined __OPTIMIZE__
typedef long all_arguments(long, long, long, long, long, long);
#define ALL_PARAMETERS long number, long a, long b, long c, long d, long e
#define ALL_ARGUMENTS number, a, b, c, d, e
#if !defined __clang__
__attribute__((optimize("optimize-sibling-calls")))
#endif
#else
typedef long all_arguments(long, long, long, long, long, long, long);
#define ALL_PARAMETERS long number, long a, long b, long c, long d, long e, long f
#define ALL_ARGUMENTS number, a, b, c, d, e, f
#endif
EXPORTED long waits_syscall(ALL_PARAMETERS) __asm__("syscall");

EXPORTED long waits_syscall(ALL_PARAMETERS)
{
    int what = (int)b & FUTEX_CMD_MASK;

    if (number == SYS_futex && (what == FUTEX_WAKE || what == FUTEX_WAKE_BITSET))
        NOTE((const void *)a, false);
    else if (number == SYS_futex && (what == FUTEX_WAIT || what == FUTEX_WAIT_BITSET) &&
             (int)c != CONTENDED)
        NOTE((const void *)a, true);
    return ((all_arguments *)NEXT(syscall))(ALL_ARGUMENTS);
}
