/*
 * Waiting for a lock, which thread forks, what it waits for, and the locks of objects: see lock.h.
 *
 * A waiting thread sleeps until the section must be over; nobody wakes it, so that to let go stays one store. That does
 * not help a real-time thread whose holder other threads keep from running. So it says in `boost` who has the lock
 * and asks the kernel for that futex: this lends the holder its priority until lock_free gives `boost` up.
 * Whether the lock is held stands in `held` alone: what goes wrong with the lending (the kernel refuses it, a holder
 * has not seen it) costs the time of its limit and nothing else. A thread that waits for long
 * asks, without a look at whether it is a real-time thread: a sandbox may kill at that question, and there are few
 * that know plain futexes only. Where the program has shown such a one, or may have entered it, nothing is lent.
 */
#include "base/clock.h"
#include "base/lock.h"

#include <pthread.h>
#include <stddef.h>

#include "base/sandbox.h"
#include "base/sys.h"

enum {
    WAIT_MS = 200,
    SPINS = 128,
    NAPS = 4, /* a sixth of a millisecond of a real-time thread, until it lends its priority */
    NAP_NS = 30000,
    LOAN_NS = 500000,
    FUTEX_WAIT_PRIVATE = 128,
    FUTEX_LOCK_PI_PRIVATE = 128 | 6,
    FUTEX_UNLOCK_PI_PRIVATE = 128 | 7,
};

_Atomic(int *) lock_forking;
uint32_t lock_forker;
unsigned lock_forks_inside;
_Atomic int lock_number_at;

struct lock lock_objects[LOCK_OBJECTS];

/* ---- who ---- */

/*
 * glibc's struct pthread, which pthread_self answers, has the number in its first part since there is one; where is
 * seen rather than known. Without it a thread goes by where its thread pointer points to, and nothing is lent.
 */
uint32_t lock_self_slow(void)
{
    enum { FIRST = 0x40, LAST = 0x400 };
    static atomic_bool is_looked_for;
    const char *thread = arch_thread();
    const uint32_t *at, *end;
    uint32_t number;
    int found = 0;

    if (!atomic_exchange(&is_looked_for, true)) {
        number = (uint32_t)sandbox_gettid();
        at = (const uint32_t *)(const void *)(thread + ARCH_THREAD_NUMBER);
        end = (const uint32_t *)(const void *)(thread + LAST);
        if (*at != number) /* where it is in most */
            at = (const uint32_t *)(const void *)(thread + FIRST);
        while (at < end && *at != number)
            at++;
        if (at < end)
            found = (int)((const char *)at - (const char *)arch_tp());
        atomic_store_explicit(&lock_number_at, found, memory_order_relaxed);
        if (found)
            return number & LOCK_OWNER;
    }
    return ((uint32_t)((uintptr_t)arch_tp() >> 6) & LOCK_OWNER) | 1;
}

/* ---- waiting ---- */

static void nap(const _Atomic uint32_t *word, uint32_t value)
{
    struct timespec time = {0, NAP_NS};
    long result = SYS_CALL(futex, word, FUTEX_WAIT_PRIVATE, value, &time, NULL, 0L);

    if (result == -EPERM || result == -ENOSYS)
        (void)SYS_CALL(nanosleep, &time, NULL);
}

void lock_nap(void)
{
    static _Atomic uint32_t nothing;

    nap(&nothing, 0);
}

/* False: it cannot be lent. The limit is needed where the holder has let go without seeing us. */
static bool boost(struct lock *lock, uint32_t owner)
{
    struct timespec limit;
    uint32_t word = 0;
    long result;

    if (!lock_number_at || !sandbox_allows_owners())
        return false;
    limit = clock_read(CLOCK_REALTIME);
    limit.tv_nsec += LOAN_NS;
    if (limit.tv_nsec >= 1000000000) {
        limit.tv_nsec -= 1000000000;
        limit.tv_sec++;
    }
    (void)atomic_compare_exchange_strong(&lock->boost, &word, owner);
    if ((atomic_load(&lock->held) & LOCK_OWNER) != owner) {
        (void)atomic_compare_exchange_strong(&lock->boost, &owner, 0);
        return true;
    }
    result = SYS_CALL(futex, &lock->boost, FUTEX_LOCK_PI_PRIVATE, 0L, &limit, NULL, 0L);
    if (result == 0) {
        lock_drop_boost(lock);
        return true;
    }
    word = atomic_load(&lock->boost);
    if ((word & LOCK_OWNER) == owner) /* others who are told nothing by it have a limit, too */
        (void)atomic_compare_exchange_strong(&lock->boost, &word, 0);
    return result == -ETIMEDOUT;
}

void lock_drop_boost(struct lock *lock)
{
    uint32_t word = atomic_load(&lock->boost);

    if ((word & LOCK_OWNER) == lock_self() &&
        (!sandbox_allows_owners() ||
         SYS_CALL(futex, &lock->boost, FUTEX_UNLOCK_PI_PRIVATE, 0L, NULL, NULL, 0L) < 0))
        (void)atomic_compare_exchange_strong(&lock->boost, &word, 0);
}

/* Until the holder HELD has let go, or for a moment. *lends: false once it is known that nothing can be lent. */
static void wait_once(struct lock *lock, uint32_t held, bool *lends)
{
    if (!*lends || !(*lends = boost(lock, held & LOCK_OWNER)))
        nap(&lock->held, held);
}

void lock_await(struct lock *lock)
{
    uint32_t held = atomic_load_explicit(&lock->held, memory_order_relaxed);
    bool lends = true;

    if (held)
        wait_once(lock, held, &lends);
}

void lock_take_slow(struct lock *lock)
{
    unsigned spins = 0, naps = 0;
    bool lends = false;
    uint32_t held;

    while (!lock_try(lock)) {
        held = atomic_load_explicit(&lock->held, memory_order_relaxed);
        if ((held & LOCK_FOR_FORK) &&
            atomic_load_explicit(&lock_forking, memory_order_relaxed) == &errno)
            return;
        if (!held)
            continue;
        if (++spins < SPINS) {
            arch_pause();
            continue;
        }
        if (++naps == NAPS)
            lends = true;
        wait_once(lock, held, &lends);
    }
}

/* ---- fork ---- */

static long now_ms(void)
{
    struct timespec now = clock_read(CLOCK_MONOTONIC_COARSE);

    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void lock_wait_before_fork(bool (*is_busy)(void))
{
    for (long start = now_ms(); is_busy() && now_ms() - start < WAIT_MS;)
        lock_nap();
}

/*
 * One fork at a time. Whose it is is known before any other lock is taken and until all are let go: a
 * signal handler may hand work over in between. It may fork, too: its fork takes what is not taken yet, and lets
 * go of nothing, since the one that it has interrupted would go on without.
 */
static struct lock fork_lock;
static volatile bool was_inside;

bool lock_is_forking(void)
{
    return atomic_load(&lock_forking) == &errno;
}

void first_fork_lock(void)
{
    if (lock_is_forking()) {
        lock_forks_inside++;
        return;
    }
    if (!lock_is_mine(&fork_lock)) /* interrupted before it is marked, or before it is let go */
        lock_take(&fork_lock);
    was_inside = false;
    lock_forker = lock_self();
    atomic_store(&lock_forking, &errno);
    atomic_fetch_or(&fork_lock.held, LOCK_FOR_FORK);
}

bool first_fork_unlock(void)
{
    uint32_t forker = lock_forker;

    if (lock_forks_inside) {
        lock_drop_after_fork(&fork_lock);
        lock_forker = lock_self();
        was_inside = true;
        lock_forks_inside--;
        return false;
    }
    atomic_store(&lock_forking, NULL);
    if (!was_inside) {
        if ((fork_lock.held & LOCK_OWNER) ==
            forker) /* else a handler has forked just now, and let go of it */
            lock_drop_after_fork(&fork_lock);
        return false;
    }
    was_inside = false;
    atomic_store(&lock_forking, &errno);
    return true;
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
