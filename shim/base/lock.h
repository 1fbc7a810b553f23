/*
 * A lock for short sections that call nothing foreign and allocate nothing.
 *
 * Not pthread_mutex: a hook may run before libpthread's state is ready and inside code that the
 * program interposes itself. Every lock that can be held at fork is taken in the prepare handler
 * (init.c), so that the child never inherits one that nobody will release.
 */
#ifndef BATON_BASE_LOCK_H
#define BATON_BASE_LOCK_H

#include <sched.h>
#include <stdatomic.h>

#include "base/arch.h"

struct lock {
    atomic_int held;
};

static inline void lock_take(struct lock *lock)
{
    unsigned spins = 0;

    while (atomic_exchange_explicit(&lock->held, 1, memory_order_acquire)) {
        do {
            arch_pause();
            if (++spins % 128 == 0)
                sched_yield(); /* the holder may have been preempted: two cores are common */
        } while (atomic_load_explicit(&lock->held, memory_order_relaxed));
    }
}

static inline void lock_drop(struct lock *lock)
{
    atomic_store_explicit(&lock->held, 0, memory_order_release);
}

#endif
