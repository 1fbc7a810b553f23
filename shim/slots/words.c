/*
 * Moving plain thread-local words: two flat tables, made once, read without a lock.
 *
 * Rules: nothing here calls anything; a block of values is aligned to 8 bytes; variables may be of
 * any size and alignment.
 */
#include "slots/words.h"

#include <stddef.h>

#include "base/arch.h"
#include "slots/slots.h"

/* Sixteen bytes at once, wherever they lie. */
typedef uint64_t pair __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t word __attribute__((aligned(1), may_alias));

struct run {
    intptr_t place; /* from the thread pointer */
    uint32_t offset, size;
};

bool words_are_any;
static unsigned alone_count, runs_count;
static intptr_t alone[SLOTS_MAX]; /* from the thread pointer; value i is the i-th word of a block */
static struct run runs[SLOTS_MAX];

/* ---- the plan ---- */

static bool is_plain(const struct slot *slot)
{
    return slot->kind->name[0] == 't' && slot->column == SLOT_NO_COLUMN &&
           slot->state == SLOT_BOUND && slot->tls.is_static && !slot->is_held && !slot->is_made &&
           !slot->has_room;
}

/* The planned slot that follows `place` in memory; NULL: none. */
static struct slot *next_after(intptr_t place)
{
    struct slot *next = NULL;

    for (unsigned i = 0; i < slots_count; i++) {
        struct slot *slot = &slots[i];

        if (is_plain(slot) && slot->tls.tp_offset >= place &&
            (!next || slot->tls.tp_offset < next->tls.tp_offset))
            next = slot;
    }
    return next;
}

static bool touches(const struct slot *slot, const struct slot *next)
{
    return next && slot->size % 8 == 0 && next->size % 8 == 0 &&
           slot->tls.tp_offset + (intptr_t)slot->size == next->tls.tp_offset;
}

static bool stands_alone(const struct slot *slot)
{
    const struct slot *next = next_after(slot->tls.tp_offset + (intptr_t)slot->size);

    if (slot->size != 8 || touches(slot, next))
        return false;
    for (unsigned i = 0; i < slots_count; i++) {
        if (&slots[i] != slot && is_plain(&slots[i]) && touches(&slots[i], slot))
            return false;
    }
    return true;
}

static void give_room(struct slot *slot)
{
    slot->offset = slots_bytes;
    slots_bytes += (slot->size + 7) & ~7u;
    slots_have_copied = true;
    slot->is_planned = true;
}

static void add_run(struct slot *slot)
{
    struct run *last = runs_count ? &runs[runs_count - 1] : NULL;

    give_room(slot);
    if (last && last->size % 8 == 0 && slot->size % 8 == 0 &&
        last->place + (intptr_t)last->size == slot->tls.tp_offset &&
        last->offset + last->size == slot->offset) {
        last->size += slot->size;
        return;
    }
    runs[runs_count++] = (struct run){slot->tls.tp_offset, slot->offset, slot->size};
}

void words_init(void)
{
    bool is_alone[SLOTS_MAX];

    for (unsigned i = 0; i < slots_count; i++)
        is_alone[i] = is_plain(&slots[i]) && stands_alone(&slots[i]);
    for (unsigned i = 0; i < slots_count; i++) {
        if (!is_alone[i])
            continue;
        give_room(&slots[i]);
        slots[i].has_room = true;
        alone[alone_count++] = slots[i].tls.tp_offset;
    }
    for (struct slot *slot = next_after(INTPTR_MIN); slot; slot = next_after(INTPTR_MIN)) {
        add_run(slot);
        slot->has_room = true;
    }
    words_are_any = alone_count || runs_count;
}

/* ---- moving ---- */

static inline __attribute__((always_inline)) void copy(char *to, const char *from, uint32_t size)
{
    uint32_t pairs = size / 16;

#pragma GCC unroll 8
    for (uint32_t i = 0; i < pairs; i++)
        ((pair *)(void *)to)[i] = ((const pair *)(const void *)from)[i];
    to += pairs * 16;
    from += pairs * 16;
    if (size & 8) {
        *(word *)(void *)to = *(const word *)(const void *)from;
        to += 8;
        from += 8;
    }
    for (unsigned i = 0; i < (size & 7); i++)
        to[i] = from[i];
}

static inline __attribute__((always_inline)) bool is_equal(const char *one, const char *other,
                                                           uint32_t size)
{
    pair differs = {0, 0};

    uint32_t pairs = size / 16;

#pragma GCC unroll 8
    for (uint32_t i = 0; i < pairs; i++)
        differs |= ((const pair *)(const void *)one)[i] ^ ((const pair *)(const void *)other)[i];
    one += pairs * 16;
    other += pairs * 16;
    if (differs[0] | differs[1])
        return false;
    if (size & 8) {
        if (*(const word *)(const void *)one != *(const word *)(const void *)other)
            return false;
        one += 8;
        other += 8;
    }
    for (unsigned i = 0; i < (size & 7); i++) {
        if (one[i] != other[i])
            return false;
    }
    return true;
}

#define AT(i) ARCH_TP_WORD(alone[i])

/* A sanitizer takes an offset from the thread pointer for an address: it would look up a shadow that
 * is not there. */
#define UNSANITIZED __attribute__((no_sanitize("address", "undefined", "thread")))

UNSANITIZED bool words_same(const void *values)
{
    const word *value = values;
    char *tp = arch_tp();

#pragma GCC unroll 8
    for (unsigned i = 0; i < alone_count; i++) {
        if (AT(i) != value[i])
            return false;
    }
    for (unsigned i = 0; i < runs_count; i++) {
        if (!is_equal(tp + runs[i].place, (const char *)values + runs[i].offset, runs[i].size))
            return false;
    }
    return true;
}

UNSANITIZED void words_save(void *saved)
{
    word *value = saved;
    char *tp = arch_tp();

    for (unsigned i = 0; i < alone_count; i++)
        value[i] = AT(i);
    for (unsigned i = 0; i < runs_count; i++)
        copy((char *)saved + runs[i].offset, tp + runs[i].place, runs[i].size);
}

bool words_read(void *values, const void *initial)
{
    words_save(values);
    for (unsigned i = 0; i < alone_count; i++) {
        if (!initial || ((word *)values)[i] != ((const word *)initial)[i])
            return true;
    }
    for (unsigned i = 0; i < runs_count; i++) {
        if (!initial || !is_equal((const char *)values + runs[i].offset,
                                  (const char *)initial + runs[i].offset, runs[i].size))
            return true;
    }
    return false;
}

UNSANITIZED void words_exchange(const void *values, void *saved)
{
    const word *value = values;
    word *old = saved;
    char *tp = arch_tp();

#pragma GCC unroll 8
    for (unsigned i = 0; i < alone_count; i++) {
        old[i] = AT(i);
        AT(i) = value[i];
    }
    for (unsigned i = 0; i < runs_count; i++) {
        copy((char *)saved + runs[i].offset, tp + runs[i].place, runs[i].size);
        copy(tp + runs[i].place, (const char *)values + runs[i].offset, runs[i].size);
    }
}

UNSANITIZED void words_write(const void *values)
{
    const word *value = values;
    char *tp = arch_tp();

#pragma GCC unroll 8
    for (unsigned i = 0; i < alone_count; i++)
        AT(i) = value[i];
    for (unsigned i = 0; i < runs_count; i++)
        copy(tp + runs[i].place, (const char *)values + runs[i].offset, runs[i].size);
}

void words_restore(const void *saved)
{
    words_write(saved);
}

/* By slot, not by run: a thread may have set one of two neighbours. */
void words_restore_borrowed(const void *saved, const void *borrowed)
{
    char *tp = arch_tp();

    for (unsigned i = slots_count; i-- > 0;) {
        const struct slot *slot = &slots[i];
        char *variable = tp + slot->tls.tp_offset;

        if (slot->is_planned &&
            is_equal(variable, (const char *)borrowed + slot->offset, slot->size))
            copy(variable, (const char *)saved + slot->offset, slot->size);
    }
}
