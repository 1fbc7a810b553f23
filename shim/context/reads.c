/*
 * Which tasks look at what they were given: counted where a report is wanted, by the hooked getspecific's slow
 * way, which then is the only one.
 *
 * An attach counts once, whatever it reads: a mark says so that goes with it. It is in its scope entry; where
 * there is none, in its overlay's flags; else it is FRAME_SLOW, which only sends whoever leaves it the long way
 * round. Some short ways of attaching raise that flag themselves: that of words says so (thread.is_read); where
 * others may, nothing is counted, and the report says no number.
 */
#include "context/reads.h"

#include "context/internal.h"
#include "slots/native.h"
#include "slots/keys.h"

_Atomic uint8_t context_reads_slow;
_Atomic uint8_t keys_were_read[SLOTS_MAX];

static bool is_clear(void)
{
    return !(atomic_load_explicit(&context_guard, memory_order_relaxed) & GUARD_OBSERVED);
}

void reads_begin(void)
{
    reads_are_counted = true;
    atomic_store(&context_reads_slow, 1);
}

/* What the innermost attach shows of the key is what it was given, and not what its task set. */
static bool is_given(const struct context *attached, unsigned key_index)
{
    return !(attached->flags & CONTEXT_OVERLAY) ||
           (!(context_overlay_part(attached)->set[key_index / 64] >> key_index % 64 & 1) &&
            (context_key_is_owned(key_index) ||
             attached->key[key_index] == attached->base->key[key_index]));
}

/* The innermost attach is marked now, and was not before. */
static bool mark_attach(struct thread *thread)
{
    struct context *attached = thread->attached;

    if (!is_clear())
        return false;
    if (thread->depth) {
        struct scope_entry *entry = &thread->entries[thread->depth - 1];
        bool was_read = entry->epoch & SCOPE_READ;

        entry->epoch |= SCOPE_READ;
        return !was_read;
    }
    if (attached->flags & CONTEXT_OVERLAY) {
        bool was_read = attached->flags & CONTEXT_READ;

        attached->flags |= CONTEXT_READ;
        return !was_read;
    }
    if (reads_are_marked(thread))
        return false;
    thread->frame_mark |= FRAME_SLOW;
    thread->is_read = true;
    return true;
}

void *context_read_key(unsigned key_index)
{
    struct thread *thread = thread_self;
    void *value = context_get_key(thread, key_index);

    if (reads_are_counted && value && is_given(thread->attached, key_index)) {
        if (!atomic_load_explicit(&keys_were_read[key_index], memory_order_relaxed))
            atomic_store_explicit(&keys_were_read[key_index], 1, memory_order_relaxed);
        if (mark_attach(thread))
            thread->counts.read++;
    }
    if (!value && thread->frame_mark & FRAME_THREAD)
        thread->has_missed = true;
    return value;
}

static bool is_seen(const struct slot *slot)
{
    return slot->key_index != SLOT_NO_KEY && !slot_is_native(slot);
}

bool reads_are_all(void)
{
    bool has_key = false;

    if (!reads_are_counted || atomic_load(&reads_have_variables) || !is_clear())
        return false;
    for (unsigned i = 0; i < slots_count; i++) {
        if (slots[i].state != SLOT_BOUND || slots[i].is_dormant)
            continue;
        if (!is_seen(&slots[i]))
            return false;
        has_key = true;
    }
    return has_key;
}

bool reads_missed(const struct slot *slot)
{
    return reads_are_counted && slot->state == SLOT_BOUND && !slot->known && is_seen(slot) &&
           atomic_load(&keys_had_value[slot->key_index]) &&
           !atomic_load(&keys_were_read[slot->key_index]);
}
