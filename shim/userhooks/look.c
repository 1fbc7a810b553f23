/*
 * Looking for pointers to named functions again, after something was loaded.
 *
 * Rule: under one lock that is never waited for: a thread that finds it taken goes on without.
 */
#include "userhooks/look.h"

#include <stdatomic.h>

#include "base/lock.h"
#include "interpose/loader.h"
#include "userhooks/got.h"
#include "userhooks/named.h"

static bool is_ready;        /* hooks may be looked for */
static atomic_bool is_stale; /* something was loaded since */
static struct lock look_lock;

/* Looks in a row that found a module half relocated: not for ever, because some may stay writable. Under the lock. */
enum { UNRELOCATED_MAX = 10000 };
static unsigned unrelocated;

void named_look_again(void)
{
    if (!is_ready || !atomic_load_explicit(&is_stale, memory_order_relaxed) ||
        !lock_try(&look_lock))
        return;
    atomic_store(&is_stale, false);
    unrelocated = got_patch_modules() ? 0 : unrelocated + 1;
    if (unrelocated && unrelocated < UNRELOCATED_MAX)
        atomic_store(&is_stale, true);
    lock_drop(&look_lock);
}

static void note_opened(void)
{
    atomic_store(&is_stale, true);
}

void look_begin(void)
{
    loader_opened_hook = note_opened;
    is_ready = true;
    atomic_store(&is_stale, true);
    named_look_again();
}

void look_fork_lock(void)
{
    lock_take_for_fork(&look_lock);
}

void look_fork_unlock(void)
{
    lock_drop_after_fork(&look_lock);
}
