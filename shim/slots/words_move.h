/*
 * The quick way of words.h: what hot paths put in line. Only where words_are_quick, and for blocks that
 * are known by where they end: there begins what they belong to.
 *
 * The few shapes that most programs have, and that the walk for any shape does not do within their budget of
 * instructions (WORDS_FEW: one to five words that stand alone, or one row of two to seven), are for callers that
 * are compiled once for each: `shape` is a constant of theirs, 0 for any, and words_shape says which to take.
 * Measured with one walk for all in uv_queue_work, in CPU time, medians of 31 pairs with quartiles within 2.5 %: it
 * costs 3.0 to 6.5 % more for one to four words and for every row. Of five words alone it costs 2.4 %, and one
 * instruction more than their budget has.
 *
 * On x86-64 the words are moved by straight-line code (words_x86_64.S) that spares all registers of
 * arguments, so that a trampoline keeps what it was called with; elsewhere by the loops of words.c.
 */
#ifndef BATON_SLOTS_WORDS_MOVE_H
#define BATON_SLOTS_WORDS_MOVE_H

#include "slots/words.h"

/* Of WORDS_FEW_MAX shapes the one that there is; 0: none of them. Set by words_init. */
extern unsigned words_shape;

#ifdef ARCH_MOVES_WORDS
#include "slots/words_move_x86_64.h"
#else

enum { WORDS_FEW_MAX = 0 };

static inline void words_attach(unsigned shape, const void *values_end, void *saved_end)
{
    (void)shape;
    words_exchange((const char *)values_end - words_bytes, (char *)saved_end - words_bytes);
}

static inline void words_detach(unsigned shape, const void *saved_end)
{
    (void)shape;
    words_write((const char *)saved_end - words_bytes);
}

static inline bool words_unchanged(unsigned shape, const void *values_end)
{
    (void)shape;
    return words_same((const char *)values_end - words_bytes);
}

#endif
#endif
