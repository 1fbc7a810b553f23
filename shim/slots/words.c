/*
 * Moving plain thread-local words: flat tables, made once, read without a lock.
 *
 * Rules: nothing here calls anything; a block of values is aligned to 8 bytes; variables may be of
 * any size and alignment.
 */
#include "slots/words.h"

#include <stddef.h>

#include "base/arch.h"
#include "slots/slots.h"
#include "slots/words_move.h"

/* Sixteen bytes at once, wherever they lie. */
typedef uint64_t pair __attribute__((vector_size(16), aligned(1), may_alias));
typedef uint64_t word __attribute__((aligned(1), may_alias));

struct run {
    intptr_t place; /* from the thread pointer */
    uint32_t offset, size;
};

/* Runs lie in a block of values as they lie in memory, gaps and all, if they are no farther apart. */
enum { SPAN_MAX = 8192 };

bool words_are_any, words_are_quick;
unsigned words_bytes, words_shape;
static unsigned alone_count, runs_count;
static struct run runs[SLOTS_MAX];

/* From the thread pointer; value i is the i-th word before the end of a block. */
__attribute__((visibility("hidden"))) intptr_t words_alone[SLOTS_MAX];

/* ---- the plan ---- */

static bool is_plain(const struct slot *slot)
{
    return slot->is_fixed && slot->state == SLOT_BOUND && !slot->is_owned && !slot->has_offset;
}

/* The static word that follows `place` in memory; NULL: none. */
static struct slot *next_after(intptr_t place)
{
    struct slot *next = NULL;

    for (unsigned i = 0; i < slots_count; i++) {
        struct slot *slot = &slots[i];

        if (is_plain(slot) && slot->tp_offset >= place &&
            (!next || slot->tp_offset < next->tp_offset))
            next = slot;
    }
    return next;
}

static bool touches(const struct slot *slot, const struct slot *next)
{
    return next && slot->size % 8 == 0 && next->size % 8 == 0 &&
           slot->tp_offset + (intptr_t)slot->size == next->tp_offset;
}

/* The user has named the same bytes twice. */
static bool overlaps(const struct slot *slot, const struct slot *other)
{
    return slot->tp_offset < other->tp_offset + (intptr_t)other->size &&
           other->tp_offset < slot->tp_offset + (intptr_t)slot->size;
}

static bool stands_alone(const struct slot *slot)
{
    const struct slot *next = next_after(slot->tp_offset + (intptr_t)slot->size);

    if (slot->size != 8 || touches(slot, next))
        return false;
    for (unsigned i = 0; i < slots_count; i++) {
        if (&slots[i] != slot && is_plain(&slots[i]) &&
            (touches(&slots[i], slot) || overlaps(&slots[i], slot)))
            return false;
    }
    return true;
}

static void assign_offset(struct slot *slot, uint32_t offset)
{
    slot->offset = offset;
    if (slots_bytes < offset + slot->size)
        slots_bytes = (offset + slot->size + 7) & ~7u;
    slots_have_copied = true;
    slot->is_static_word = true;
    slot->has_offset = true;
}

static void add_run(struct slot *slot, uint32_t offset)
{
    struct run *last = runs_count ? &runs[runs_count - 1] : NULL;

    /* Moved once: what is exchanged twice would save what it has written itself. */
    if (last && slot->tp_offset < last->place + (intptr_t)last->size) {
        uint32_t within = (uint32_t)(slot->tp_offset - last->place);

        if (last->size < within + slot->size)
            last->size = within + slot->size;
        assign_offset(slot, last->offset + within);
        return;
    }
    assign_offset(slot, offset);
    if (last && last->size % 8 == 0 && slot->size % 8 == 0 &&
        last->place + (intptr_t)last->size == slot->tp_offset &&
        last->offset + last->size == slot->offset) {
        last->size += slot->size;
        return;
    }
    runs[runs_count++] = (struct run){slot->tp_offset, slot->offset, slot->size};
}

/* The only run, with all that is in it. */
static void move_run(uint32_t by)
{
    runs[0].offset += by;
    for (unsigned i = 0; i < slots_count; i++) {
        if (slots[i].is_static_word)
            slots[i].offset += by;
    }
    slots_bytes += by;
}

static bool is_in_reach(intptr_t lowest)
{
    for (unsigned i = 0; i < slots_count; i++) {
        if (is_plain(&slots[i]) && slots[i].tp_offset + (intptr_t)slots[i].size - lowest > SPAN_MAX)
            return false;
    }
    return true;
}

#ifdef ARCH_MOVES_WORDS

/* What words_x86_64.S reads: pieces of runs by their places, 16, 8 or 4 bytes each. */
#define SHARED __attribute__((visibility("hidden")))
SHARED intptr_t words_pairs[WORDS_PAIRS_MAX], words_eights[WORDS_EIGHTS_MAX],
    words_fours[WORDS_FOURS_MAX];
SHARED intptr_t words_mirror; /* from a block's end to where place 0 would lie in it */
SHARED intptr_t words_row;    /* the end of the only run, if it is all there is */
SHARED intptr_t words_odd;    /* from there to its first word */
const void *words_attach_begin, *words_detach_begin, *words_same_begin;

/* Of each operation: where it goes from kind to kind, and its walks. */
#define OPERATION(name)                                                            \
    SHARED const void *words_##name##_next[3], *words_##name##_then;               \
    extern const char words_##name##_mirror[] SHARED, words_##name##_row[] SHARED, \
        words_##name##_row_odd[] SHARED;                                           \
    extern const int32_t words_##name##_alone_walks[WORDS_ALONE_MAX] SHARED,       \
        words_##name##_row_walks[WORDS_PAIRS_MAX] SHARED,                          \
        words_##name##_pairs_walks[WORDS_PAIRS_MAX] SHARED,                        \
        words_##name##_eights_walks[WORDS_EIGHTS_MAX] SHARED,                      \
        words_##name##_fours_walks[WORDS_FOURS_MAX] SHARED
OPERATION(attach);
OPERATION(detach);
OPERATION(same);
extern const char words_ret[] SHARED;

/* Where the last `count` of a walk's pieces begin. */
static const void *walk_from(const int32_t *walks, unsigned max, unsigned count)
{
    return (const char *)walks + walks[max - count];
}

struct kind {
    intptr_t *places;
    unsigned size, max, count;
};

static bool cut_into_pieces(struct kind *kind)
{
    for (unsigned i = 0; i < runs_count; i++) {
        intptr_t place = runs[i].place, end = place + (intptr_t)runs[i].size;

        for (unsigned k = 0; k < 3; k++) {
            for (; end - place >= (intptr_t)kind[k].size; place += kind[k].size) {
                if (kind[k].count == kind[k].max)
                    return false;
                kind[k].places[kind[k].count++] = place;
            }
        }
        if (place != end)
            return false;
    }
    return true;
}

/* Each kind leads to the next one that there is, the last to `then`. */
static void link_kinds(const void **next, const void *then, const struct kind *kind,
                       const int32_t *const *walks)
{
    const void *after = then;

    for (unsigned k = 3; k-- > 0;) {
        if (kind[k].count)
            after = walk_from(walks[k], kind[k].max, kind[k].count);
        next[k] = after;
    }
}

static bool is_one_row(const struct kind *kind)
{
    return !alone_count && runs_count == 1 && kind[0].count && kind[1].count <= 1 && !kind[2].count;
}

#define LINK(name)                                                                              \
    do {                                                                                        \
        const int32_t *walks[3] = {words_##name##_pairs_walks, words_##name##_eights_walks,     \
                                   words_##name##_fours_walks};                                 \
                                                                                                \
        words_##name##_then = words_ret;                                                        \
        if (alone_count)                                                                        \
            words_##name##_then =                                                               \
                walk_from(words_##name##_alone_walks, WORDS_ALONE_MAX, alone_count);            \
        link_kinds(words_##name##_next, words_##name##_then, kind, walks);                      \
        words_##name##_begin = runs_count ? words_##name##_mirror : words_##name##_then;        \
        if (is_one_row(kind)) {                                                                 \
            words_##name##_begin = kind[1].count ? words_##name##_row_odd : words_##name##_row; \
            words_##name##_then =                                                               \
                walk_from(words_##name##_row_walks, WORDS_PAIRS_MAX, kind[0].count);            \
        }                                                                                       \
    } while (0)

static bool plan_walks(void)
{
    struct kind kind[3] = {{words_pairs, 16, WORDS_PAIRS_MAX, 0},
                           {words_eights, 8, WORDS_EIGHTS_MAX, 0},
                           {words_fours, 4, WORDS_FOURS_MAX, 0}};

    if (alone_count > WORDS_ALONE_MAX || !cut_into_pieces(kind))
        return false;
    if (runs_count) {
        words_mirror = (intptr_t)runs[0].offset - runs[0].place - (intptr_t)words_bytes;
        words_row = runs[0].place + (intptr_t)runs[0].size;
        words_odd = -(intptr_t)runs[0].size;
    }
    LINK(attach);
    LINK(detach);
    LINK(same);
    if (!runs_count && alone_count <= WORDS_SHAPE_SCATTERED)
        words_shape = alone_count;
    else if (is_one_row(kind) && runs[0].size <= 8 * WORDS_FEW_ROW)
        words_shape = WORDS_SHAPE_SCATTERED + runs[0].size / 8 - 1;
    return true;
}

#else

static bool plan_walks(void)
{
    return true;
}

#endif

void words_init(void)
{
    bool is_alone[SLOTS_MAX] = {false}, is_mirrored;
    struct slot *slot;
    intptr_t lowest;

    for (unsigned i = 0; i < slots_count; i++)
        is_alone[i] = is_plain(&slots[i]) && stands_alone(&slots[i]);
    for (unsigned i = 0; i < slots_count; i++) {
        if (!is_alone[i])
            continue;
        slots[i].has_offset = true; /* not a run's */
        words_alone[alone_count++] = slots[i].tp_offset;
    }
    slot = next_after(INTPTR_MIN);
    lowest = slot ? slot->tp_offset : 0;
    is_mirrored = is_in_reach(lowest);
    for (; slot; slot = next_after(INTPTR_MIN))
        add_run(slot, is_mirrored ? (uint32_t)(slot->tp_offset - lowest) : slots_bytes);
    words_are_any = alone_count || runs_count;
    if (runs_count == 1 && !alone_count && runs[0].size % 16)
        move_run(16 - runs[0].size % 16); /* a row ends where its block ends */
    slots_bytes = words_bytes = (slots_bytes + alone_count * 8 + 15) & ~15u;
    for (unsigned i = 0, end = words_bytes; i < slots_count; i++) {
        if (is_alone[i])
            assign_offset(&slots[i], end -= 8);
    }
    words_are_quick = words_are_any && is_mirrored && plan_walks();
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

#define AT(i) ARCH_TP_WORD(words_alone[i])
#define ALONE(values, i) (((word *)(void *)((uintptr_t)(values) + words_bytes))[-1 - (int)(i)])

/* A sanitizer takes an offset from the thread pointer for an address: it would look up a shadow that
 * is not there. */
#define UNSANITIZED __attribute__((no_sanitize("address", "undefined", "thread")))

UNSANITIZED bool words_same(const void *values)
{
    char *tp = arch_tp();

#pragma GCC unroll 8
    for (unsigned i = 0; i < alone_count; i++) {
        if (AT(i) != ALONE(values, i))
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
    char *tp = arch_tp();

    for (unsigned i = 0; i < alone_count; i++)
        ALONE(saved, i) = AT(i);
    for (unsigned i = 0; i < runs_count; i++)
        copy((char *)saved + runs[i].offset, tp + runs[i].place, runs[i].size);
}

static UNSANITIZED __attribute__((noinline)) bool read_runs(char *values, const char *initial)
{
    char *tp = arch_tp();
    bool differs = false;

    for (unsigned i = 0; i < runs_count; i++) {
        copy(values + runs[i].offset, tp + runs[i].place, runs[i].size);
        differs |= !is_equal(values + runs[i].offset, initial + runs[i].offset, runs[i].size);
    }
    return differs;
}

UNSANITIZED bool words_read(void *values, const void *initial)
{
    word differs = 0, *value = (word *)(void *)((char *)values + words_bytes);
    const word *first = (const word *)(const void *)((const char *)initial + words_bytes);

    for (const intptr_t *place = words_alone, *end = place + alone_count; place < end; place++) {
        word now = ARCH_TP_WORD(*place);

        differs |= now ^ *--first;
        *--value = now;
    }
    return (runs_count && read_runs(values, initial)) || differs;
}

UNSANITIZED void words_exchange(const void *values, void *saved)
{
    char *tp = arch_tp();

#pragma GCC unroll 8
    for (unsigned i = 0; i < alone_count; i++) {
        ALONE(saved, i) = AT(i);
        AT(i) = ALONE(values, i);
    }
    for (unsigned i = 0; i < runs_count; i++) {
        copy((char *)saved + runs[i].offset, tp + runs[i].place, runs[i].size);
        copy(tp + runs[i].place, (const char *)values + runs[i].offset, runs[i].size);
    }
}

UNSANITIZED void words_write(const void *values)
{
    char *tp = arch_tp();

#pragma GCC unroll 8
    for (unsigned i = 0; i < alone_count; i++)
        AT(i) = ALONE(values, i);
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
        char *variable = tp + slot->tp_offset;

        if (slot->is_static_word &&
            is_equal(variable, (const char *)borrowed + slot->offset, slot->size))
            copy(variable, (const char *)saved + slot->offset, slot->size);
    }
}
