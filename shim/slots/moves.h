/*
 * The quick way of the copied slots that are neither keys nor planned words (move.c): a table of those that are
 * bound, for a program in which copied slots are read and written and no more: nothing is owned, lent,
 * or used up by being read.
 *
 * Rules: a table is never changed and stays for good; who wants to put back what it has moved looks
 * whether the table in force is as old as its attach (`since`).
 */
#ifndef BATON_SLOTS_MOVES_H
#define BATON_SLOTS_MOVES_H

#include <stdatomic.h>
#include <string.h>

#include "slots/slots.h"
#include "slots/words.h"

struct slot_move {
    const struct slot *slot;
    bool (*read)(const struct slot *slot, void *value);
    void (*write)(const struct slot *slot, void *value);
    bool (*same)(const struct slot *slot, const void *value);
    uint32_t offset, size;
};

struct slot_moves {
    uint32_t since; /* slots_epoch in which the last of them was bound */
    uint32_t count;
    struct slot_move list[];
};

/* NULL: some slot has more to do, or nothing is copied. */
extern const struct slot_moves *_Atomic slots_moves __attribute__((visibility("hidden")));
/* Makes the table anew: at start (context_init), and when a slot was bound, under the resolve lock. */
void moves_plan(void);

/* As slots_save, slots_write, slots_restore, slots_same. */
static inline void moves_save(const struct slot_moves *moves, char *saved)
{
    if (words_are_any)
        words_save(saved);
    for (const struct slot_move *move = moves->list, *end = move + moves->count; move < end; move++)
        move->read(move->slot, saved + move->offset);
}

/* What the thread has already (`saved`) need not be written: mostly it runs its own request's next part. */
static inline void moves_write(const struct slot_moves *moves, char *values, const char *saved)
{
    if (words_are_any)
        words_write(values);
    for (const struct slot_move *move = moves->list, *end = move + moves->count; move < end;
         move++) {
        char *value = values + move->offset;

        if (move->size == sizeof(uint64_t)
                ? *(uint64_t *)(void *)value !=
                      *(const uint64_t *)(const void *)(saved + move->offset)
                : memcmp(value, saved + move->offset, move->size) != 0)
            move->write(move->slot, value);
    }
}

static inline void moves_restore(const struct slot_moves *moves, char *saved)
{
    for (const struct slot_move *move = moves->list + moves->count; move-- > moves->list;)
        move->write(move->slot, saved + move->offset);
    if (words_are_any)
        words_restore(saved);
}

static inline bool moves_same(const struct slot_moves *moves, const char *values)
{
    if (words_are_any && !words_same(values))
        return false;
    for (const struct slot_move *move = moves->list, *end = move + moves->count; move < end;
         move++) {
        if (!move->same(move->slot, values + move->offset))
            return false;
    }
    return true;
}

#endif
