/*
 * The quick way of words.h: what hot paths put in line. Only where words_are_quick.
 *
 * On x86-64 the words are moved by straight-line code (words_x86_64.S) that spares all registers of
 * arguments, so that a trampoline keeps what it was called with; elsewhere by the loops of words.c.
 */
#ifndef BATON_SLOTS_WORDS_MOVE_H
#define BATON_SLOTS_WORDS_MOVE_H

#include "slots/words.h"

#ifdef ARCH_MOVES_WORDS
#include "slots/words_move_x86_64.h"
#else

static inline void words_quick_exchange(const void *values, void *saved)
{
    words_exchange(values, saved);
}

static inline void words_quick_write(const void *values)
{
    words_write(values);
}

static inline bool words_quick_same(const void *values)
{
    return words_same(values);
}

#endif
#endif
