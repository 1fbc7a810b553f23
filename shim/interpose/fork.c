/*
 * fork, while other threads hand work over: each family's locks are taken first, so that the child finds
 * none that is held by a thread it does not have. No section holds two of them.
 */
#include "interpose/fork.h"

void handoffs_fork_lock(void)
{
#define FORK_LOCK(name) name##_fork_lock();
    FILES_WITH_LOCKS(FORK_LOCK)
#undef FORK_LOCK
}

void handoffs_fork_unlock(void)
{
#define FORK_UNLOCK(name) name##_fork_unlock();
    FILES_WITH_LOCKS(FORK_UNLOCK)
#undef FORK_UNLOCK
}
