/* Pointers in our own tables that the loader is not told of: a program that carries nothing does without. */
#ifndef BATON_INTERPOSE_DEFERRED_H
#define BATON_INTERPOSE_DEFERRED_H

/* Of the dynamic section, put there by scripts/link/lighten.c: how many relative relocations stand in front of
 * those that the loader sees; and what was its own name. Among the values for an operating system's own use;
 * loaders pass over what they do not know. */
#define BATON_DT_DEFERRED 0x6261746e
#define BATON_DT_LOADER 0x6261746f

/* Makes them right, once. Before anything that is reached from outside looks at such a table: while the loader
 * relocates us, at the first call of a hook, and at include/baton.h's. Calls nobody; async-signal-safe. */
void deferred_apply(void) __attribute__((visibility("hidden")));

/* The same while the loader starts the program: nobody else runs, and nothing has been written there. */
void deferred_apply_first(void) __attribute__((visibility("hidden")));

#endif
