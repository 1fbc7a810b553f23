/*
 * The places of the bank: which hook stands behind a thunk.
 *
 * A thunk that was given out is never taken back: an address that the program has may be called as
 * long as it runs, or until the function behind it is unloaded.
 */
#include "elf/elf.h"
#include "userhooks/core.h"

enum { THUNKS_KEPT = 256 };

static struct lock take_lock;

/* One whose function was unloaded: no pointer to it is good any more. Its number; 0: none. */
static unsigned find_left(void **original)
{
    struct elf_module module;

    for (unsigned i = thunks_rows_end; i < THUNKS; i++) {
        *original = atomic_load(&thunks[i].original);
        if (*original && !elf_module_at(*original, &module))
            return i;
    }
    return 0;
}

unsigned thunk_take(struct named_hook *hook, enum thunk_role role, void *original)
{
    void *gone = NULL;
    unsigned left = 0, index, used = atomic_load(&thunks_used);

    if (used == THUNKS && !thunk_find(hook, role, original))
        left = find_left(&gone); /* not under the lock: it asks the loader */
    lock_take(&take_lock);
    index = thunk_find(hook, role, original);
    if (!index) {
        used = atomic_load(&thunks_used);
        if (used < THUNKS)
            index = used;
        else if (left && atomic_load(&thunks[left].original) == gone)
            index = left;
        if (index) {
            if (role == THUNK_FUNCTION) /* another copy of it, maybe of another version */
                atomic_store(&hook->belief, BELIEF_EACH);
            atomic_store(&thunks[index].is_right, false);
            atomic_store(&thunks[index].fault, FAULT_NONE);
            atomic_store(&thunks[index].probe, NULL);
            atomic_store(&thunks[index].instead, NULL);
            thunks[index].hook = hook;
            thunks[index].role = (uint8_t)role;
            atomic_store(&thunks[index].original, original);
        } else {
            atomic_store(&hook->has_no_place, true);
        }
        if (index == used)
            atomic_store_explicit(&thunks_used, used + 1, memory_order_release);
    }
    lock_drop(&take_lock);
    return index;
}

unsigned thunk_take_probe(struct named_hook *hook, void *original, struct probe *probe)
{
    unsigned used;

    lock_take(&take_lock);
    used = atomic_load(&thunks_used);
    if (used < THUNKS - THUNKS_KEPT) {
        thunks[used].hook = hook;
        thunks[used].role = THUNK_PROBE;
        atomic_store(&thunks[used].probe, probe);
        atomic_store(&thunks[used].original, original);
        atomic_store_explicit(&thunks_used, used + 1, memory_order_release);
    } else {
        used = 0;
    }
    lock_drop(&take_lock);
    return used;
}

void thunk_fork_lock(void)
{
    lock_take_for_fork(&take_lock);
}

void thunk_fork_unlock(void)
{
    lock_drop_after_fork(&take_lock);
}
