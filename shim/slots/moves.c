/*
 * Which slots take the quick way of moves.h: worked out when something was bound, so that a handoff asks
 * nothing.
 *
 * Rules: a table that was in force stays in memory, for threads that are reading it; one whose list is still
 * right serves on, so there are no more of them than slots. Two threads that look at once leave the table
 * of one; if that is the older one it is not in force, and the slow way does as well.
 */
#include "slots/moves.h"
#include "slots/kind.h"

#include "base/mem.h"
#include "base/sandbox.h"
#include "slots/origin.h"
#include "slots/policy.h"

struct slot_moves *_Atomic slots_moves, *_Atomic slots_moves_out;
struct slot_word slots_word;
struct slot_pair_word slots_pair;

void slot_word_write(const void *block_end)
{
    slots_word.write(slots_word.arg, slot_word_at(block_end));
}

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

/* How many may be moved, bound or not; 0: some slot has more to do. */
static unsigned candidates(void)
{
    unsigned count = 0;

    if (!slots_have_copied || slots_have_owned || slots_have_owned_keys || slots_always_build ||
        slots_watched)
        return 0;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (slot_may_be_copied(slot))
            return 0;
        if (slot->key_index != SLOT_NO_KEY || slot->is_static_word || slot->state == SLOT_REFUSED)
            continue;
        if (!is_simple(slot))
            return 0; /* a key in the C library's own store, say: it may go any time */
        count++;
    }
    return count;
}

/* The first slot that is the only one (NULL: none is) is the word for good. */
static void plan_word(const struct slot *slot, uint32_t epoch)
{
    static atomic_bool was_planned;

    if (slot && !atomic_exchange(&was_planned, true)) {
        const struct slot_kind *kind = slot->kind;
        uint64_t (*direct)(const struct slot *) =
            slots_word.form == WORD_ONE && kind->direct ? kind->direct(slot) : NULL;

        slots_word.get = direct ? direct : kind->get;
        slots_word.put = kind->put;
        slots_word.get_wide = kind->get_wide;
        slots_word.write = kind->write;
        slots_word.arg = direct ? NULL : slot;
        slots_word.slot = slot;
    }
    if (!slot || slot != slots_word.slot)
        epoch = 0;
    atomic_store(&slots_word.epoch, epoch);
    if (epoch && atomic_load(&slots_epoch) !=
                     epoch) /* another thread may have planned later, and was overwritten */
        atomic_store(&slots_word.epoch, 0);
}

/* Is it one that is moved in registers, or may be when it is found? */
static bool may_be_word(const struct slot *slot)
{
    if (slot->kind->calls_out)
        return false;
    if (slot->kind->get_wide)
        return slot->size == sizeof(struct slot_wide);
    return slot->kind->get && slot->kind->put &&
           (slot->size == sizeof(uint64_t) ||
            (slot->state == SLOT_WAITING && slot->size == LATE_TLS_SIZE));
}

/* The only copied slot that is not refused; NULL: there are more, or none. */
static const struct slot *only_slot(void)
{
    const struct slot *only = NULL;

    for (unsigned i = 0; i < slots_count; i++) {
        if (slot_may_be_copied(&slots[i]))
            return NULL;
        if (slots[i].key_index != SLOT_NO_KEY || slots[i].state == SLOT_REFUSED)
            continue;
        if (only)
            return NULL;
        only = &slots[i];
    }
    return only;
}

/* Asked once, by the first plan, of all slots that there will be. */
static void expect_word(const struct slot *slot)
{
    slots_word.is_expected = slot && !words_are_any && may_be_word(slot);
    slots_word.form = slot && slot->kind->get_wide ? WORD_WIDE : WORD_ONE;
}

/*
 * Where a slot's values have lives of their own, contexts and threads that have none of it need no more than those of a
 * word: as long as the slot is the only one that is copied. Of what threads mostly have none of, as a locale.
 */
static void expect_none(void)
{
    const struct slot *slot =
        slots_have_owned && !slots_have_owned_keys && !slots_watched ? only_slot() : NULL;

    slots_word.is_expected = slot && slot->is_owned && slot->kind->is_everywhere &&
                             !slot->kind->hold && !slot->kind->calls_out && slot->kind->get &&
                             slot->size == sizeof(uint64_t) && slots_bytes == sizeof(uint64_t);
    if (slots_word.is_expected)
        slots_word.form = WORD_NONE;
}

/* As plan_word; of a pair that is all that is copied, else its functions are NULL. Once there is one it stays. */
static void plan_pair(const struct slot_pair *call, uint32_t epoch)
{
    static atomic_bool was_planned;

    if (call->get && !atomic_exchange(&was_planned, true))
        slots_pair.call = *call;
    if (!call->get || call->get != slots_pair.call.get || call->set != slots_pair.call.set)
        epoch = 0;
    atomic_store(&slots_pair.epoch, epoch);
    if (epoch && atomic_load(&slots_epoch) != epoch)
        atomic_store(&slots_pair.epoch, 0);
}

/* A program that is in no sandbox pays nothing for this: neither a look nor a branch. */
static void shut_list(struct slot_moves *moves)
{
    for (unsigned i = 0; i < moves->count; i++) {
        struct slot_move *move = &moves->list[i];
        const struct slot_kind *kind = move->slot->kind;
        bool may = !kind->shut || sandbox_allows(kind->shut->wish);

        if (kind->shut && move->get) {
            __atomic_store_n(&move->get, may ? kind->get : kind->shut->get, __ATOMIC_RELAXED);
            __atomic_store_n(&move->put, may ? kind->put : kind->shut->put, __ATOMIC_RELAXED);
        }
    }
}

void moves_shut(void)
{
    const struct slot_kind *kind = slots_word.slot ? slots_word.slot->kind : NULL;

    for (struct slot_moves *moves = atomic_load(&slots_moves); moves; moves = moves->before)
        shut_list(moves);
    for (struct slot_moves *moves = atomic_load(&slots_moves_out); moves; moves = moves->before)
        shut_list(moves);
    if (kind && kind->shut) {
        bool may = sandbox_allows(kind->shut->wish);

        __atomic_store_n(&slots_word.get, may ? kind->get : kind->shut->get, __ATOMIC_RELAXED);
        __atomic_store_n(&slots_word.put, may ? kind->put : kind->shut->put, __ATOMIC_RELAXED);
    }
}

static bool is_bound(const struct slot *slot, uint32_t epoch)
{
    return __atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) == SLOT_BOUND && slot->since <= epoch;
}

/* Is its one slot of the form that is expected? */
static bool has_word(const struct slot_moves *moves)
{
    return (slots_word.is_expected && slots_word.form == WORD_WIDE ? moves->count == 1
                                                                   : moves->is_one_word) &&
           moves->list[0].from_end == SLOT_WORD_FROM_END;
}

static bool may_be_pair(const struct slot_moves *moves)
{
    return moves->is_one_word && moves->list[0].from_end == SLOT_WORD_FROM_END &&
           moves->list[0].slot->kind->pair;
}

void moves_expect_pair(void)
{
    const struct slot_moves *moves = atomic_load(&slots_moves_out);
    struct slot_pair call = {NULL, NULL};

    if (moves && may_be_pair(moves))
        (void)moves->list[0].slot->kind->pair(moves->list[0].slot, &call);
    slots_pair.is_expected = call.get != NULL;
}

void moves_plan(void)
{
    static bool was_asked;
    uint32_t epoch = atomic_load(&slots_epoch);
    struct slot_moves *old = atomic_load(&slots_moves), *moves;
    bool is_out = false;
    unsigned count = candidates();
    size_t size = sizeof *moves + count * sizeof moves->list[0];

    if (!was_asked && count)
        expect_word(only_slot());
    else if (!was_asked)
        expect_none();
    was_asked = true;
    moves = count ? mem_alloc(size) : NULL;
    if (!moves) { /* the other way does as well */
        const struct slot *none =
            slots_word.is_expected && slots_word.form == WORD_NONE ? only_slot() : NULL;

        plan_word(none && is_bound(none, epoch) ? none : NULL, epoch);
        atomic_store(&slots_pair.epoch, 0);
        return;
    }
    moves->count = 0;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (slot->key_index != SLOT_NO_KEY || slot->is_static_word || !is_bound(slot, epoch))
            continue;
        is_out |= slot->kind->calls_out;
        moves->list[moves->count++] = (struct slot_move){
            .slot = slot,
            .get = slot->size == sizeof(uint64_t) && slot->kind->put ? slot->kind->get : NULL,
            .put = slot->kind->put,
            .from_end = (intptr_t)slot->offset - (intptr_t)slots_block_bytes(),
            .read = slot->kind->read,
            .write = slot->kind->write,
            .same = slot->kind->same ? slot->kind->same : read_and_compare,
            .offset = slot->offset,
            .size = slot->size};
    }
    if (atomic_load(&sandbox_bars))
        shut_list(moves);
    moves->is_one_word = moves->count == 1 && moves->list[0].get && !words_are_any;
    moves->pair = (struct slot_pair){NULL, NULL};
    if (!may_be_pair(moves) || !moves->list[0].slot->kind->pair(moves->list[0].slot, &moves->pair))
        moves->pair = (struct slot_pair){NULL, NULL};
    plan_pair(&moves->pair, epoch);
    if (is_out) { /* what hot paths have in line does not call out */
        atomic_store_explicit(&slots_word.epoch, 0, memory_order_release);
        old = atomic_load(&slots_moves_out);
    } else {
        plan_word(has_word(moves) ? moves->list[0].slot : NULL, epoch);
    }
    if (old && old->count == moves->count && old->pair.get == moves->pair.get &&
        !memcmp(old->list, moves->list, moves->count * sizeof moves->list[0])) {
        mem_free(moves, size);
        moves = old;
    } else {
        moves->before = old;
    }
    atomic_store(&moves->epoch, epoch);
    atomic_store(is_out ? &slots_moves_out : &slots_moves, moves);
    if (atomic_load(&sandbox_bars)) /* perhaps since */
        moves_shut();
}
