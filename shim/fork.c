/*
 * fork, while other threads hand work over: every lock of every room is taken first, so that the child
 * finds none that is held by a thread it does not have. Beside init.c, because only these two files
 * know every room.
 */
#include "fork.h"

#include <pthread.h>

#include "base/lock.h"
#include "context/context.h"
#include "elf/elf.h"
#include "families/fork.h"
#include "interpose/next.h"
#include "interpose/reentry.h"
#include "interpose/start.h"
#include "observe/watch.h"
#include "userhooks/named.h"

static bool (*is_busy)(void);

static void families_fork_lock(void)
{
#define FORK_LOCK(name) name##_fork_lock();
    FAMILIES_WITH_LOCKS(FORK_LOCK)
#undef FORK_LOCK
}

static void families_fork_unlock(void)
{
#define FORK_UNLOCK(name) name##_fork_unlock();
    FAMILIES_WITH_LOCKS(FORK_UNLOCK)
#undef FORK_UNLOCK
}

/* Our handlers are registered before anybody's, so at a fork ours locks last and unlocks first: other
 * handlers wait for threads that may wait for us, and find no lock of ours held. Until there is something
 * to lock, and in a fork that began before, they do nothing. */
static bool is_registered, is_watching;

static void before_fork(void)
{
    if (!__atomic_load_n(&is_watching, __ATOMIC_ACQUIRE))
        return;
    lock_wait_before_fork(is_busy);
    elf_fork_wait();
    first_fork_lock();
    named_fork_lock();
    families_fork_lock();
    reentry_fork_lock();
    context_fork_lock();
    watch_fork_lock();
    objects_fork_lock();
    elf_fork_close();
}

static void let_rooms_go(bool is_child)
{
    elf_fork_open(is_child);
    objects_fork_unlock();
    watch_fork_unlock(is_child);
    context_fork_unlock(is_child);
    reentry_fork_unlock();
    families_fork_unlock();
    named_fork_unlock(is_child);
    if (is_child)
        next_forked();
}

static void let_go(bool is_child)
{
    if (!lock_is_forking())
        return;
    do {
        let_rooms_go(is_child);
        is_child = false; /* what is the parent's is forgotten once */
    } while (first_fork_unlock());
}

static void after_fork_parent(void)
{
    let_go(false);
}

static void after_fork_child(void)
{
    let_go(true);
}

void baton_relocated(void)
{
    is_registered = pthread_atfork(before_fork, after_fork_parent, after_fork_child) == 0;
}

void fork_watch(bool (*busy)(void))
{
    is_busy = busy;
    if (!is_registered) /* opened by the program, or used after all */
        baton_relocated();
    __atomic_store_n(&is_watching, true, __ATOMIC_RELEASE);
}
