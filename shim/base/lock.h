/*
 * A lock for short sections that call nothing foreign and allocate nothing.
 *
 * Not pthread_mutex: a hook may run before libpthread's state is ready and inside code that the
 * program interposes itself. Every lock that can be held at fork is taken in the prepare handler
 * (init.c), so that the child never inherits one that nobody will release. So there is none inside of
 * an object, unless all those objects are in a list (map.c).
 */
#ifndef BATON_BASE_LOCK_H
#define BATON_BASE_LOCK_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arch.h"

struct lock {
    atomic_uintptr_t held; /* 0: free; else the thread pointer of who has it, and LOCK_FOR_FORK */
};

enum { LOCK_FOR_FORK = 1 };

/*
 * Between the prepare handler and the others all locks are held by the thread that forks. Handlers of
 * others, and of signals, run meanwhile on that thread, and in the child too: they may hand work over
 * (ThreadSanitizer starts a thread), so what it takes then it has already. NULL: nobody forks; else
 * the thread's &errno.
 */
extern _Atomic(int *) lock_forking;

static inline bool lock_try(struct lock *lock)
{
    uintptr_t free = 0;

    return atomic_compare_exchange_strong_explicit(&lock->held, &free, (uintptr_t)arch_tp(),
                                                   memory_order_acquire, memory_order_relaxed);
}

/* Waits a moment for who has it: see lock.c. */
void lock_wait(struct lock *lock, uintptr_t held, unsigned turn);

static inline void lock_take(struct lock *lock)
{
    unsigned spins = 0;

    while (!lock_try(lock)) {
        uintptr_t held;

        while ((held = atomic_load_explicit(&lock->held, memory_order_relaxed)) != 0) {
            if ((held & LOCK_FOR_FORK) &&
                atomic_load_explicit(&lock_forking, memory_order_relaxed) == &errno)
                return;
            arch_pause();
            if (++spins % 128 == 0)
                lock_wait(lock, held, spins / 128);
        }
    }
}

static inline void lock_drop(struct lock *lock)
{
    if (!(atomic_load_explicit(&lock->held, memory_order_relaxed) & LOCK_FOR_FORK))
        atomic_store_explicit(&lock->held, 0, memory_order_release);
}

/* The lock of an object that comes and goes: one of a few, which fork can take. Nothing else is taken
 * while it is held, not even that of another object. */
enum { LOCK_OBJECTS = 16 };
extern struct lock lock_objects[LOCK_OBJECTS];

static inline struct lock *lock_of(const void *object)
{
    return &lock_objects[((uintptr_t)object >> 4) % LOCK_OBJECTS];
}

/* In the prepare handler, before it takes anything: while another thread does what a child could not go
 * on with. Not for ever: that thread may wait for this one. */
void lock_wait_before_fork(bool (*is_busy)(void));

/* Around all others: */
void first_fork_lock(void);
void first_fork_unlock(void);
/* The locks of objects. */
void objects_fork_lock(void);
void objects_fork_unlock(void);

/*
 * In the prepare handler, and in the two that come after. A signal handler may fork that has interrupted a
 * section of this very thread: then the lock is left to that section, which goes on in parent and child.
 */
static inline void lock_take_for_fork(struct lock *lock)
{
    if (atomic_load_explicit(&lock->held, memory_order_relaxed) == (uintptr_t)arch_tp())
        return;
    lock_take(lock);
    atomic_store_explicit(&lock->held, (uintptr_t)arch_tp() | LOCK_FOR_FORK, memory_order_relaxed);
}

static inline void lock_drop_after_fork(struct lock *lock)
{
    if (atomic_load_explicit(&lock->held, memory_order_relaxed) & LOCK_FOR_FORK)
        atomic_store_explicit(&lock->held, 0, memory_order_release);
}

#endif
