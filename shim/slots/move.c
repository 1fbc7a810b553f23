/*
 * The copied slots at a handoff: from the calling thread into a block of values, and back into a thread.
 *
 * Rules: no lock, and errno is kept by the kinds. A slot that is not bound is never touched, nor one
 * that was bound after the attach began. Static words are moved by words.c, before or after
 * the slots here; in a program that carries such words only, there is nothing left to do here.
 */
#include <string.h>

#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/kind.h"
#include "slots/slots.h"
#include "slots/words.h"

/* Moved one by one here; static words are moved by words.c. */
static bool is_moved(const struct slot *slot)
{
    return slot->key_index == SLOT_NO_KEY && slot->state == SLOT_BOUND && !slot->is_static_word;
}

void slots_set_initial(void)
{
    for (unsigned i = 0; i < slots_count; i++) {
        if ((is_moved(&slots[i]) || slots[i].is_static_word) && slots[i].kind->initial)
            slots[i].kind->initial(&slots[i], (char *)slots_initial + slots[i].offset);
    }
}

static bool is_moved_since(const struct slot *slot, uint32_t epoch)
{
    return is_moved(slot) && slot->since <= epoch;
}

/* The word of an owned slot in a block of values. */
static void **word_at(const struct slot *slot, const void *values)
{
    return (void **)(uintptr_t)((const char *)values + slot->offset);
}

/* What a kind's own lend answered false to, or what was not lent yet: there is nothing to take back. */
static char nothing_borrowed;

void slots_save(void *saved, uint32_t now)
{
    words_save(saved);
    for (unsigned i = 0; i < slots_count; i++) {
        if (!is_moved_since(&slots[i], now))
            continue;
        if (slots[i].kind->read)
            slots[i].kind->read(&slots[i], (char *)saved + slots[i].offset);
        if (slots[i].is_owned) /* a function that lends one before it may leave */
            *word_at(&slots[i], (char *)saved + slots_bytes) = &nothing_borrowed;
    }
}

_Atomic bool slots_words_unseen = true;

/* Told once, so that a line that others read is not written to again. */
static inline bool note_value(const struct slot *slot, bool is_set)
{
    struct slot *own = (struct slot *)(uintptr_t)slot;

    if (is_set && !atomic_load_explicit(&own->had_value, memory_order_relaxed))
        atomic_store_explicit(&own->had_value, true, memory_order_relaxed);
    return is_set;
}

/* Of words as well, which are read all at once: those that were not seen to have a value are looked at. */
void slots_note_words(const void *values)
{
    bool is_any_left = false;

    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];
        const char *value = (const char *)values + slot->offset;

        if (slot->is_static_word && !slot->had_value &&
            !note_value(slot,
                        memcmp(value, (const char *)slots_initial + slot->offset, slot->size) != 0))
            is_any_left = true;
    }
    atomic_store_explicit(&slots_words_unseen, is_any_left, memory_order_relaxed);
}

bool slots_read_words(void *values)
{
    bool is_any_set = words_read(values, slots_initial);

    if (is_any_set && atomic_load_explicit(&slots_words_unseen, memory_order_relaxed))
        slots_note_words(values);
    return is_any_set;
}

bool slots_read(void *values)
{
    bool is_any_set = slots_read_words(values);

    for (unsigned i = 0; i < slots_count; i++) {
        if (is_moved(&slots[i]) && slots[i].kind->read)
            is_any_set |= note_value(
                &slots[i], slots[i].kind->read(&slots[i], (char *)values + slots[i].offset));
    }
    return is_any_set;
}

bool slot_is_set(const struct slot *slot, const void *values)
{
    if (slot->is_owned)
        return *word_at(slot, values) != NULL;
    return memcmp((const char *)values + slot->offset, (const char *)slots_initial + slot->offset,
                  slot->size) != 0;
}

static bool hold(const struct slot *slot, void **word, const void *owner, void *const *borrowed,
                 void *const *from)
{
    void *value = NULL;

    if (slot->kind->hold)
        return slot->kind->hold(slot, word);
    slot->kind->read(slot, &value);
    if (slot->policy == POLICY_WEAK)
        origin_seen(owner, slot, value);
    if (!value)
        return false;
    if (slot->policy == POLICY_WEAK && borrowed && *borrowed == value && *from)
        *word = origin_ref(*from); /* a task hands on what it was lent */
    else
        *word = policy_hold(slot, value, owner, slot->kind->place ? slot->kind->place(slot) : NULL);
    return *word != NULL;
}

bool slots_capture(void *values, const void *owner, const void *borrowed, const void *from)
{
    bool is_any_set = false;

    if (!slots_have_owned)
        return slots_read(values);
    is_any_set = slots_read_words(values);
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (!is_moved(slot))
            continue;
        if (slot->is_owned)
            is_any_set |= note_value(slot, hold(slot, word_at(slot, values), owner,
                                                borrowed ? word_at(slot, borrowed) : NULL,
                                                from ? word_at(slot, from) : NULL));
        else
            is_any_set |= note_value(slot, slot->kind->read(slot, (char *)values + slot->offset));
    }
    return is_any_set;
}

static bool both_have_none(const struct slot *slot, const void *values)
{
    void *value = NULL;

    if (*word_at(slot, values) || slot->kind->hold)
        return false;
    slot->kind->read(slot, &value);
    return !value;
}

bool slots_same(const void *values)
{
    char now[LATE_TLS_SIZE];

    if (!words_same(values))
        return false;
    if (slots_are_words)
        return true;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (!is_moved(slot))
            continue;
        if (slot->is_owned) { /* what a context keeps is a copy of its own */
            if (!both_have_none(slot, values))
                return false;
            continue;
        }
        if (slot->kind->same) {
            if (!slot->kind->same(slot, (const char *)values + slot->offset))
                return false;
            continue;
        }
        if (slot->size > sizeof now)
            return false;
        memset(now, 0, slot->size);
        slot->kind->read(slot, now);
        if (memcmp(now, (const char *)values + slot->offset, slot->size) != 0)
            return false;
    }
    return true;
}

static void lend(const struct slot *slot, void *owned, void **borrowed)
{
    void *value;

    if (slot->kind->lend) {
        if (!slot->kind->lend(slot, owned, borrowed))
            *borrowed = &nothing_borrowed;
        return;
    }
    *borrowed = policy_lend(slot, owned);
    value = *borrowed;
    slot->kind->write(slot, &value);
}

static void reclaim(const struct slot *slot, void **saved, void *borrowed, bool is_thread)
{
    void *now = NULL;

    if (slot->kind->reclaim) {
        if (borrowed != &nothing_borrowed)
            slot->kind->reclaim(slot, borrowed, is_thread);
        return;
    }
    slot->kind->read(slot, &now);
    if (is_thread && now != borrowed)
        return; /* the thread's own by now (rule 13) */
    slot->kind->write(slot, saved);
    if (now == borrowed)
        policy_take_back(slot, borrowed); /* not when the task took it over (rule 19) */
}

static bool slot_exchanges(const struct slot *slot)
{
    return slot->kind->exchange && slot->kind->can_exchange(slot);
}

/* A kind that cannot tell one coroutine's state from another's leaves it to the thread. */
static bool is_borrowed_by(const struct slot *slot, bool is_coroutine)
{
    return !is_coroutine || !slot->kind->lend || slot_exchanges(slot);
}

void slots_write(void *values, uint32_t epoch, void *saved, uint32_t now, bool is_coroutine)
{
    words_write(values);
    if (slots_are_words)
        return;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (!is_moved_since(slot, now))
            continue;
        if (slot->is_owned && !is_borrowed_by(slot, is_coroutine))
            *word_at(slot, (char *)saved + slots_bytes) = &nothing_borrowed;
        else if (slot->is_owned)
            lend(slot, epoch >= slot->since ? *word_at(slot, values) : NULL,
                 word_at(slot, (char *)saved + slots_bytes));
        else
            slot->kind->write(slot,
                              (epoch >= slot->since ? (char *)values : (char *)slots_initial) +
                                  slot->offset);
    }
}

/* Is the thread's value still VALUE? What cannot be told is. */
static bool holds(const struct slot *slot, const void *value)
{
    char now[LATE_TLS_SIZE];

    if (slot->size > sizeof now)
        return !slot->kind->same || slot->kind->same(slot, value);
    memset(now, 0, slot->size);
    slot->kind->read(slot, now);
    return memcmp(now, value, slot->size) == 0;
}

void slots_restore(void *saved, const void *borrowed, uint32_t epoch)
{
    for (unsigned i = slots_are_words ? 0 : slots_count; i-- > 0;) {
        const struct slot *slot = &slots[i];

        if (!is_moved_since(slot, epoch))
            continue;
        if (slot->is_owned) {
            reclaim(slot, word_at(slot, saved), *word_at(slot, (char *)saved + slots_bytes),
                    borrowed != NULL);
            continue;
        }
        if (borrowed && !slot->is_cloned && !holds(slot, (const char *)borrowed + slot->offset))
            continue; /* the thread's own by now (rule 13) */
        slot->kind->write(slot, (char *)saved + slot->offset);
        if (slot->is_cloned)
            slot->kind->release(slot, (char *)saved + slot->offset);
    }
    if (borrowed)
        words_restore_borrowed(saved, borrowed);
    else
        words_restore(saved);
}

/* Kinds of their own mind: what is lent of them is not asked for, and the word is free for what they
 * exchange. */
void slots_suspend(void *values, uint32_t now)
{
    slots_save(values, now);
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (!is_moved_since(slot, now) || !slot->kind->lend)
            continue;
        *word_at(slot, (char *)values + slots_bytes) = &nothing_borrowed;
        *word_at(slot, values) = NULL;
        if (slot_exchanges(slot))
            slot->kind->exchange(slot, word_at(slot, values));
    }
}

void slots_resume(void *values, uint32_t epoch)
{
    slots_restore(values, NULL, epoch);
    for (unsigned i = 0; i < slots_count; i++) {
        if (is_moved_since(&slots[i], epoch) && slot_exchanges(&slots[i]))
            slots[i].kind->exchange(&slots[i], word_at(&slots[i], values));
    }
}

void slots_set_aside(const void *owner, const void *saved, uint32_t now)
{
    if (!origin_owns_any(owner))
        return;
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if ((is_moved_since(slot, now) || slot->is_static_word) &&
            (slot->policy == POLICY_WEAK || slot_is_watched(slot)))
            origin_seen(owner, slot, slot_word(slot, saved));
    }
    origin_set_aside(owner);
}

void slots_release(void *values)
{
    for (unsigned i = 0; i < slots_count; i++) {
        const struct slot *slot = &slots[i];

        if (!is_moved(slot))
            continue;
        if (slot->is_cloned) {
            slot->kind->release(slot, (char *)values + slot->offset);
        } else if (slot->is_owned) {
            void **word = word_at(slot, values);

            if (slot->kind->let_go && *word)
                slot->kind->let_go(slot, *word);
            else
                policy_let_go(slot, *word);
            *word = NULL;
        }
    }
}
