/*
 * Finding what the items name, at start and whenever something came that may have it.
 *
 * Rules: finding happens under a lock that nobody waits for, because to load an adapter runs its
 * constructors, which may hand over: a thread that finds it taken goes on without.
 */
#include <errno.h>
#include <stdatomic.h>

#include "base/lock.h"
#include "slots/known.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/kind.h"
#include "slots/slots.h"
#include "slots/storage.h"
#include "slots/words.h"

static struct lock resolve_lock;

static void assign_next_offset(struct slot *slot)
{
    if (slot_may_be_copied(slot))
        slot->size = sizeof(void *);
    else if (slot->key_index != SLOT_NO_KEY)
        return;
    if (!slot->size)
        slot->size = LATE_TLS_SIZE; /* not found yet: room for what may come with a library */
    slot->offset = slots_bytes;
    slots_bytes += (slot->size + 7) & ~7u;
    slots_have_copied = true;
}

void slots_begin(void)
{
    slots_tries = SLOTS_TRIES;
    slots_resolve();
    words_init(); /* first: they have the front of a block of values */
    for (unsigned i = 0; i < slots_count; i++) {
        if (slots[i].state == SLOT_REFUSED)
            continue; /* for good */
        if (!slots[i].has_offset)
            assign_next_offset(&slots[i]);
        slots[i].has_offset = true;
    }
    slots_are_words = words_are_any;
    for (unsigned i = 0; i < slots_count; i++)
        slots_are_words &= !slot_may_be_copied(&slots[i]) &&
                           (slots[i].is_static_word || slots[i].key_index != SLOT_NO_KEY ||
                            slots[i].state == SLOT_REFUSED);
    slots_saved_bytes = slots_have_owned ? 2 * slots_bytes : slots_bytes;
}

/* A slot that was bound late: its initial value, and the contexts there are, must know. */
static void late_slot(struct slot *slot)
{
    if (slot->key_index == SLOT_NO_KEY && slots_initial && slot->kind->initial)
        slot->kind->initial(slot, (char *)slots_initial + slot->offset);
    if (slots_calls.changed)
        slots_calls.changed(true);
}

void slots_resolve(void)
{
    int saved_errno = errno;
    bool is_waiting = false;

    /* Another thread, or this one in a constructor that a resolve has run: it will be done. */
    if (!lock_try(&resolve_lock))
        return;
    if (known_is_on)
        known_look();
    for (unsigned i = 0; i < slots_count; i++) {
        struct slot *slot = &slots[i];

        if (slot->state != SLOT_WAITING)
            continue;
        is_waiting = true;
        if (slot->is_dormant && !slot->known->is_here)
            continue;
        if (slot->is_dormant)
            slot_wake(slot);
        if (!policy_resolve(slot))
            continue;
        slot->kind->resolve(slot);
        if (slot->state == SLOT_BOUND && slot->has_offset && slot->key_index == SLOT_NO_KEY)
            late_slot(slot);
    }
    slots_stale = is_waiting && slots_tries && --slots_tries;
    if (is_waiting && slots_hints_wanted && slots_hints_stale)
        slots_gather_hints();
    lock_drop(&resolve_lock);
    errno = saved_errno;
}

void slots_fork_lock(void)
{
    lock_take_for_fork(&resolve_lock);
    slot_names_fork_lock();
    origin_fork_lock();
    storages_fork_lock();
}

void slots_fork_unlock(void)
{
    storages_fork_unlock();
    origin_fork_unlock();
    slot_names_fork_unlock();
    lock_drop_after_fork(&resolve_lock);
}
