/* Pointers in our own tables that the loader is not told of: a program that carries nothing does without. */
#ifndef BATON_INTERPOSE_DEFERRED_H
#define BATON_INTERPOSE_DEFERRED_H

#include <stdint.h>

/*
 * Which these are, written by scripts/link/lighten.c, which finds it by its section: none are put out of sight where
 * it has not run. They stay where the linker put them, in front of those that the loader sees: first relative ones,
 * then offsets from the thread pointer, which differ from the one that the loader fills in by what they add.
 */
#define DEFERRED_SECTION "baton_deferred"
struct deferred_list {
    uint32_t at; /* from the start of the library, like all of these */
    uint32_t relative, thread;
    uint32_t thread_known, thread_known_adds;
};

/* The offsets of thread-local variables: first of all, while the loader relocates us; it has filled in the known one. */
void deferred_apply_thread(void) __attribute__((visibility("hidden")));

/* Makes the pointers right, once. Before anything that is reached from outside looks at such a table: while the loader
 * relocates us, at the first call of a hook, and at include/baton.h's. Calls nobody; async-signal-safe. */
void deferred_apply(void) __attribute__((visibility("hidden")));

/* The same while the loader starts the program: nobody else runs, and nothing has been written there. */
void deferred_apply_first(void) __attribute__((visibility("hidden")));

#endif
