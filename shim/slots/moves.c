/*
 * Which slots take the quick way of moves.h: worked out when one is bound, so that a handoff asks nothing.
 *
 * Rule: written under the resolve lock; a table that was in force stays in memory, for threads that are
 * reading it.
 */
#include "slots/moves.h"

#include "base/mem.h"
#include "slots/origin.h"
#include "slots/policy.h"

const struct slot_moves *_Atomic slots_moves;

/* For kinds that do not know better: reads and compares. */
static bool read_and_compare(const struct slot *slot, const void *value)
{
    char now[LATE_TLS_SIZE];

    if (slot->size > sizeof now)
        return false;
    memset(now, 0, slot->size);
    slot->kind->read(slot, now);
    return memcmp(now, value, slot->size) == 0;
}

static bool is_simple(const struct slot *slot)
{
    return !slot->is_owned && !slot->is_cloned && slot->policy == POLICY_SHARE &&
           slot->kind->read && slot->kind->write && slot->key_index == SLOT_NO_KEY;
}

void moves_plan(void)
{
    struct slot_moves *moves;
    unsigned count = 0;

    atomic_store(&slots_moves, NULL);
    if (!slots_have_copied || slots_have_owned || slots_have_owned_keys || slots_always_build ||
        slots_watched)
        return;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (slot_may_be_copied(slot))
            return; /* it may go back to being none, with its key */
        if (slot->key_index != SLOT_NO_KEY || slot->is_static_word || slot->state == SLOT_REFUSED)
            continue;
        if (!is_simple(slot))
            return;
        count++;
    }
    moves = count ? mem_alloc(sizeof *moves + count * sizeof moves->list[0]) : NULL;
    if (!moves)
        return; /* the other way does as well */
    moves->since = moves->count = 0;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (slot->key_index != SLOT_NO_KEY || slot->is_static_word || slot->state != SLOT_BOUND)
            continue;
        moves->list[moves->count++] =
            (struct slot_move){slot,
                               slot->kind->read,
                               slot->kind->write,
                               slot->kind->same ? slot->kind->same : read_and_compare,
                               slot->offset,
                               slot->size};
        if (slot->since > moves->since)
            moves->since = slot->since;
    }
    atomic_store(&slots_moves, moves);
}
