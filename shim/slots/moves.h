/*
 * The quick way of the copied slots that are neither keys nor static words (move.c): a table of those that are
 * bound, for a program in which copied slots are read and written and no more: nothing is owned, lent,
 * or used up by being read.
 *
 * Rules: a table's list stays for good, and is never changed but for what a sandbox takes the place of (moves_shut); it is
 * right at one slots_epoch: whatever is bound or unbound ends it, until it was looked at again. A caller has compared its epoch with that
 * of the context, and of the attach that is left.
 */
#ifndef BATON_SLOTS_MOVES_H
#define BATON_SLOTS_MOVES_H

#include <stdatomic.h>
#include <string.h>

#include "slots/kind.h"
#include "slots/slots.h"
#include "slots/words.h"

struct slot_move {
    const struct slot *slot;
    uint64_t (*get)(const struct slot
                        *slot); /* NULL: it is not moved in a register, but by read, write, same */
    void (*put)(const struct slot *slot, uint64_t word);
    intptr_t
        from_end; /* where its value is, seen from where a block of values ends (slots_block_bytes) */
    bool (*read)(const struct slot *slot, void *value);
    void (*write)(const struct slot *slot, void *value);
    bool (*same)(const struct slot *slot, const void *value);
    uint32_t offset, size;
};

struct slot_moves {
    _Atomic uint32_t epoch; /* slots_epoch when it was looked at */
    uint32_t count;
    bool is_one_word; /* there is one, moved in a register, and no static word */
    struct slot_pair
        pair; /* its functions, where it is the program's own two, and at SLOT_WORD_FROM_END; NULL */
    struct slot_moves
        *before; /* was in force, and may still be read: leak checkers shall find it */
    struct slot_move list[];
};

/*
 * How the copied slot that there is moves, where that is one: in a register; in two; or, of one whose values each have a
 * life of their own (policy.h), not at all: there is none, neither in the context nor in the thread.
 */
enum slot_word_form { WORD_ONE, WORD_WIDE, WORD_NONE };

/*
 * The copied slot that there is, where that is one of these: what hot paths put in line. Written once,
 * before `epoch` names the first contexts that it is right for; 0 until it is bound, and from when there are more.
 */
struct slot_word {
    uint64_t (*get)(const struct slot *slot);            /* but of WORD_WIDE */
    void (*put)(const struct slot *slot, uint64_t word); /* of WORD_ONE */
    struct slot_wide (*get_wide)(const struct slot *slot);
    void (*write)(const struct slot *slot, void *value); /* but of WORD_ONE */
    const struct slot *arg;                              /* of all */
    _Atomic uint32_t epoch;                              /* of the contexts that it is right for */
    const struct slot *slot;
    enum slot_word_form form; /* both written before any capture: */
    bool is_expected;         /* it is there, or its slot still waits */
};
enum { SLOT_WORD_FROM_END = -16 }; /* a block of values that has no other */
extern struct slot_word slots_word __attribute__((visibility("hidden")));

static inline __attribute__((always_inline)) uint64_t *slot_word_at(const void *block_end)
{
    return (uint64_t *)(void *)((char *)(uintptr_t)block_end + SLOT_WORD_FROM_END);
}

static inline __attribute__((always_inline)) bool slot_word_is_right(uint32_t epoch)
{
    return __builtin_expect(atomic_load_explicit(&slots_word.epoch, memory_order_acquire) == epoch,
                            1);
}

/* A block of values has none of a slot whose values have lives of their own, and that is all there is. */
static inline bool slot_word_is_none(const void *block_end)
{
    return slots_word.is_expected && slots_word.form == WORD_NONE && !*slot_word_at(block_end);
}

/* What the thread has. */
static inline __attribute__((always_inline)) struct slot_wide
slot_word_now(enum slot_word_form form)
{
    return form == WORD_WIDE ? slots_word.get_wide(slots_word.arg)
                             : (struct slot_wide){{slots_word.get(slots_word.arg), 0}};
}

static inline __attribute__((always_inline)) bool
slot_word_is(enum slot_word_form form, struct slot_wide now, const void *block_end)
{
    const uint64_t *at = slot_word_at(block_end);

    return form == WORD_WIDE  ? now.half[0] == at[0] && now.half[1] == at[1]
           : form == WORD_ONE ? now.half[0] == at[0]
                              : (now.half[0] | at[0]) == 0;
}

/* What the thread had, to be put back; of what is lent behind it: nothing. */
static inline __attribute__((always_inline)) void
slot_word_keep(enum slot_word_form form, struct slot_wide was, const void *block_end)
{
    slot_word_at(block_end)[0] = was.half[0];
    if (form == WORD_WIDE)
        __asm__(""
                : "+m"(slot_word_at(block_end)[0])); /* from its register, not by way of memory */
    if (form != WORD_ONE)
        slot_word_at(block_end)[1] = was.half[1];
}

/* For those that are no register: apart, so that no register is kept for the address of what is rarely written. */
void slot_word_write(const void *block_end) __attribute__((visibility("hidden")));

static inline __attribute__((always_inline)) void slot_word_put(enum slot_word_form form,
                                                                const void *block_end)
{
    if (form == WORD_ONE)
        slots_word.put(slots_word.arg, *slot_word_at(block_end));
    else
        slot_word_write(block_end);
}

/*
 * The same for a slot that a pair of the program's functions gets and sets (struct slot_moves), where that is all that is
 * copied: who calls them keeps errno, and they may attach, or leave.
 */
struct slot_pair_word {
    struct slot_pair call;
    _Atomic uint32_t epoch;
    bool is_expected; /* it is one, or may turn out to be; written before any capture */
};
extern struct slot_pair_word slots_pair __attribute__((visibility("hidden")));

static inline __attribute__((always_inline)) bool slot_pair_is_right(uint32_t epoch)
{
    return __builtin_expect(atomic_load_explicit(&slots_pair.epoch, memory_order_acquire) == epoch,
                            1);
}

/* NULL: some slot has more to do, or nothing is copied. */
extern struct slot_moves *_Atomic slots_moves __attribute__((visibility("hidden")));
/* The table stands here instead where some getter or setter is the user's, which may attach, or leave. */
extern struct slot_moves *_Atomic slots_moves_out __attribute__((visibility("hidden")));
/* Looks again: at start, and whenever a slot was bound or unbound. Any thread. */
void moves_plan(void);
/* The program has entered a sandbox, or may have: what it forbids is put out of every table's way, or back. In any
 * thread; no system call, no memory. */
void moves_shut(void);
void moves_expect_pair(void); /* after the first, before any capture */

/* The table, if it is right at this epoch. */
static inline const struct slot_moves *moves_of(struct slot_moves *_Atomic *table, uint32_t epoch)
{
    const struct slot_moves *moves = atomic_load_explicit(table, memory_order_acquire);

    return moves && atomic_load_explicit(&moves->epoch, memory_order_acquire) == epoch ? moves
                                                                                       : NULL;
}

static inline const struct slot_moves *moves_at(uint32_t epoch)
{
    return moves_of(&slots_moves, epoch);
}

/* As slots_save, slots_write, slots_restore, slots_same. */
static inline void moves_save(const struct slot_moves *moves, char *saved)
{
    if (words_are_any)
        words_save(saved);
    for (const struct slot_move *move = moves->list, *end = move + moves->count; move < end; move++)
        move->read(move->slot, saved + move->offset);
}

/* The value of one that is moved in a register. */
static inline uint64_t *move_word(const struct slot_move *move, const void *block_end)
{
    return (uint64_t *)(void *)((char *)(uintptr_t)block_end + move->from_end);
}

static inline bool moves_differ(const char *one, const char *other, uint32_t size)
{
    const uint64_t *a = (const uint64_t *)(const void *)one,
                   *b = (const uint64_t *)(const void *)other;

    if (size == sizeof *a)
        return *a != *b;
    return size == 2 * sizeof *a ? a[0] != b[0] || a[1] != b[1] : memcmp(one, other, size) != 0;
}

/* As moves_save, moves_write and moves_same where is_one_word, by the ends of the blocks. */
static inline void moves_save_word(const struct slot_moves *moves, void *saved_end)
{
    *move_word(moves->list, saved_end) = moves->list[0].get(moves->list[0].slot);
}

static inline void moves_write_word(const struct slot_moves *moves, const void *values_end,
                                    const void *saved_end)
{
    uint64_t word = *move_word(moves->list, values_end);

    if (word != *move_word(moves->list, saved_end))
        moves->list[0].put(moves->list[0].slot, word);
}

static inline bool moves_same_word(const struct slot_moves *moves, const void *values_end)
{
    return moves->list[0].get(moves->list[0].slot) == *move_word(moves->list, values_end);
}

/* What was not written, and is as it was, is not written back either: also of the next. */
static inline void moves_put_back_word(const struct slot_moves *moves, const void *values_end,
                                       const void *saved_end)
{
    uint64_t was = *move_word(moves->list, saved_end);

    if (was != *move_word(moves->list, values_end) ||
        was != moves->list[0].get(moves->list[0].slot))
        moves->list[0].put(moves->list[0].slot, was);
}

/* What the thread has already (`saved`) need not be written: mostly it runs its own request's next part. */
static inline void moves_write(const struct slot_moves *moves, char *values, const char *saved)
{
    if (words_are_any)
        words_write(values);
    for (const struct slot_move *move = moves->list, *end = move + moves->count; move < end;
         move++) {
        char *value = values + move->offset;

        if (moves_differ(value, saved + move->offset, move->size))
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

/* The same after moves_write of these values. */
static inline void moves_put_back(const struct slot_moves *moves, const char *values, char *saved)
{
    for (const struct slot_move *move = moves->list + moves->count; move-- > moves->list;) {
        char *was = saved + move->offset;

        if (moves_differ(values + move->offset, was, move->size) || !move->same(move->slot, was))
            move->write(move->slot, was);
    }
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

/* ---- where some function is the program's: a pair is called as it is, and who calls these keeps errno ---- */

/* A block of values, by where it ends. */
static inline char *moves_block(const void *block_end)
{
    return (char *)(uintptr_t)block_end - slots_block_bytes();
}

static inline bool moves_same_out(const struct slot_moves *moves, const void *values_end)
{
    return moves->pair.get ? moves->pair.get() == *slot_word_at(values_end)
                           : moves_same(moves, moves_block(values_end));
}

static inline void moves_save_out(const struct slot_moves *moves, void *saved_end)
{
    if (moves->pair.get)
        *slot_word_at(saved_end) = moves->pair.get();
    else
        moves_save(moves, moves_block(saved_end));
}

static inline void moves_write_out(const struct slot_moves *moves, const void *values_end,
                                   const void *saved_end)
{
    if (!moves->pair.get)
        moves_write(moves, moves_block(values_end), moves_block(saved_end));
    else if (*slot_word_at(values_end) != *slot_word_at(saved_end))
        moves->pair.set(*slot_word_at(values_end));
}

static inline void moves_put_back_out(const struct slot_moves *moves, const void *values_end,
                                      const void *saved_end)
{
    if (!moves->pair.get) {
        moves_put_back(moves, moves_block(values_end), moves_block(saved_end));
    } else {
        uint64_t was = *slot_word_at(saved_end);

        if (was != *slot_word_at(values_end) || was != moves->pair.get())
            moves->pair.set(was);
    }
}

#endif
