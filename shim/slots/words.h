/*
 * Plain thread-local words, moved without asking anybody: `tls:` slots with policy share that lie at
 * one offset from the thread pointer in every thread and were bound at start.
 *
 * They are most of what is carried besides keys, and there may be many, so what a word costs is what
 * a handoff costs (tests/bench: at most 22 instructions a word, 12 where words are neighbours).
 * They have the first words_bytes of a block of values: what is not one word alone, as it lies in
 * memory; and, last first, up to the end, the words that stand alone. A block of nothing else is put
 * right in front of what it belongs to, so that the quick ways find each word at a fixed distance.
 */
#ifndef BATON_SLOTS_WORDS_H
#define BATON_SLOTS_WORDS_H

#include <stdbool.h>
#include <stdint.h>

#pragma GCC visibility push(hidden)

/* Plans for what slots_begin found; gives the slots their room, from offset 0 on; once, at start. */
void words_init(void);

extern bool words_are_any;   /* some slot is moved here */
extern bool words_are_quick; /* words_move.h may be used for them */
extern unsigned words_bytes; /* a multiple of 16 */

/* As slots_read, slots_same, slots_write, slots_restore: of the static words only. */
bool words_read(void *values, const void *initial); /* some value is not the initial one */
bool words_same(const void *values);
/* Saves what the thread has and writes `values`. */
void words_exchange(const void *values, void *saved);
void words_save(void *saved);
void words_write(const void *values);
void words_restore(const void *saved);
/* Only where the thread still has what was written (rule 13). */
void words_restore_borrowed(const void *saved, const void *borrowed);

#pragma GCC visibility pop

#endif
