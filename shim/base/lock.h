/*
 * A lock for short sections that call nothing foreign and allocate nothing.
 *
 * Not pthread_mutex: a hook may run before libpthread's state is ready and inside code that the
 * program interposes itself. Every lock that can be held at fork is taken in the prepare handler
 * (fork.c), so that the child never inherits one that nobody will release. So there is none inside of
 * an object, unless all those objects are in a list (map.c).
 *
 * Nobody spins for long and nobody yields: a waiting thread sleeps for moments. A real-time thread lends its
 * priority to the holder (see lock.c). To take a lock is one atomic instruction, to let go of it none.
 */
#ifndef BATON_BASE_LOCK_H
#define BATON_BASE_LOCK_H

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arch.h"

enum { LOCK_OWNER = 0x3fffffff };
#define LOCK_FOR_FORK UINT32_C(0x80000000)

struct lock {
    _Atomic uint32_t
        held; /* 0: free; else the number of the thread that has it, and LOCK_FOR_FORK */
    _Atomic uint32_t
        boost; /* futex with priority inheritance of those who wait; 0: none. Lends, guards nothing */
};

/*
 * Between the prepare handler and the others all locks are held by the thread that forks. Handlers of
 * others, and of signals, run meanwhile on that thread, and in the child too: they may hand work over
 * (ThreadSanitizer starts a thread), so what it takes then it has already. NULL: nobody forks; else
 * the thread's &errno.
 */
extern _Atomic(int *) lock_forking;

/* Where libc keeps a thread's number, from the thread pointer; 0: not known. */
extern _Atomic int lock_number_at;
uint32_t lock_self_slow(void);

/* The number of the calling thread: the kernel's, where libc's layout is as expected. */
static inline uint32_t lock_self(void)
{
    int at = atomic_load_explicit(&lock_number_at, memory_order_relaxed);
    uint32_t self = at ? (uint32_t)ARCH_TP_WORD(at) & LOCK_OWNER : 0;

    return self ? self : lock_self_slow();
}

static inline bool lock_try(struct lock *lock)
{
    uint32_t free = 0;

    return atomic_compare_exchange_strong_explicit(&lock->held, &free, lock_self(),
                                                   memory_order_acquire, memory_order_relaxed);
}

/* Waits until it has it, or is the thread that forks. */
void lock_take_slow(struct lock *lock);
/* To who takes no lock, but waits for what somebody does who has it: returns when he has let go, or a moment later. A
 * real-time thread lends him its priority. */
void lock_await(struct lock *lock);
/* To the thread that lends its priority: it is over. */
void lock_drop_boost(struct lock *lock);
/* Sleeps for a moment, for loops that wait for another thread. */
void lock_nap(void);

static inline void lock_take(struct lock *lock)
{
    if (!lock_try(lock))
        lock_take_slow(lock);
}

static inline void lock_free(struct lock *lock)
{
    atomic_store_explicit(&lock->held, 0, memory_order_release);
    if (atomic_load_explicit(&lock->boost, memory_order_relaxed))
        lock_drop_boost(lock);
}

static inline void lock_drop(struct lock *lock)
{
    if (!(atomic_load_explicit(&lock->held, memory_order_relaxed) & LOCK_FOR_FORK))
        lock_free(lock);
}

/* In a signal handler: it has interrupted a section of this thread, which cannot go on meanwhile. */
static inline bool lock_is_mine(struct lock *lock)
{
    return (atomic_load_explicit(&lock->held, memory_order_relaxed) & LOCK_OWNER) == lock_self();
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

/* Around all others. True: a handler has forked meanwhile, and what it took is still to be let go, by the same calls. */
void first_fork_lock(void);
bool first_fork_unlock(void);
/* The calling thread is between the two. */
bool lock_is_forking(void);
/* The locks of objects. */
void objects_fork_lock(void);
void objects_fork_unlock(void);

/* The thread that forks, as it is called in the parent; how many forks of its own its fork has been interrupted by. */
extern uint32_t lock_forker;
extern unsigned lock_forks_inside;

/*
 * In the prepare handler, and in the two that come after. A signal handler may fork that has interrupted a
 * section of this very thread: then the lock is left to that section, which goes on in parent and child. So it is
 * with a fork that the handler has interrupted: what the inner one takes is let go with the outer one's. In the
 * child the thread has another number.
 */
static inline void lock_take_for_fork(struct lock *lock)
{
    uint32_t owner = atomic_load_explicit(&lock->held, memory_order_relaxed) & LOCK_OWNER;

    if (owner && (owner == lock_self() || owner == lock_forker))
        return;
    lock_take(lock);
    atomic_fetch_or_explicit(&lock->held, LOCK_FOR_FORK, memory_order_relaxed);
}

static inline void lock_drop_after_fork(struct lock *lock)
{
    uint32_t held = atomic_load_explicit(&lock->held, memory_order_relaxed);

    if ((held & LOCK_FOR_FORK) && !lock_forks_inside)
        lock_free(lock);
    else if (held && ((held & LOCK_FOR_FORK) || held == lock_forker))
        atomic_store_explicit(&lock->held, lock_self() | (held & LOCK_FOR_FORK),
                              memory_order_relaxed);
}

#endif
