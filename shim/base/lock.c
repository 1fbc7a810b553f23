/* Which thread forks, what it waits for, and the locks of objects: see lock.h. */
#include "base/lock.h"

#include <stddef.h>
#include <time.h>

#include "base/sys.h"

enum { WAIT_MS = 200 };

_Atomic(int *) lock_forking;

struct lock lock_objects[LOCK_OBJECTS];

/*
 * Two cores are common, so the holder may have been preempted: it gets ours. If that does not help, we may be
 * a real-time thread, to which yielding means nothing: a sleep lets anybody run. Nobody wakes us, so that
 * to let go of a lock stays one store; the section is over long before the sleep is.
 */
void lock_wait(struct lock *lock, uintptr_t held, unsigned turn)
{
    enum { YIELDS = 8, FUTEX_WAIT_PRIVATE = 128, SLEEP_NS = 50000 };
    struct timespec sleep = {0, SLEEP_NS};

    if (turn <= YIELDS)
        sys_yield();
    else
        (void)SYS_CALL(futex, &lock->held, FUTEX_WAIT_PRIVATE, (uint32_t)held, &sleep, NULL, 0L);
}

static long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void lock_wait_before_fork(bool (*is_busy)(void))
{
    for (long start = now_ms(); is_busy() && now_ms() - start < WAIT_MS;)
        sys_yield();
}

/* One fork at a time. Whose it is is known before any other lock is taken and until all are let go: a
 * signal handler may hand work over in between. */
static struct lock fork_lock;

void first_fork_lock(void)
{
    lock_take_for_fork(&fork_lock);
    atomic_store(&lock_forking, &errno);
}

void first_fork_unlock(void)
{
    atomic_store(&lock_forking, NULL);
    lock_drop_after_fork(&fork_lock);
}

void objects_fork_lock(void)
{
    for (unsigned i = 0; i < LOCK_OBJECTS; i++)
        lock_take_for_fork(&lock_objects[i]);
}

void objects_fork_unlock(void)
{
    for (unsigned i = 0; i < LOCK_OBJECTS; i++)
        lock_drop_after_fork(&lock_objects[i]);
}
