/*
 * Blocks of one size that can be listed: contexts, while BATON_STRICT asks which are held. Free ones are
 * taken from the thread's own, then all that other threads have given back at once. They are never unmapped.
 */
#ifndef BATON_CONTEXT_POOL_LISTED_H
#define BATON_CONTEXT_POOL_LISTED_H

#include <stddef.h>

struct thread;

/* Before the first block. */
void listed_begin(size_t size);
/* A block with whatever was there, zeros at first; NULL: no memory. */
void *listed_alloc(struct thread *thread);
void listed_free(void *block);
/* Calls visit for every block there has been, free ones too, while other threads go on: all that a free one
 * has lost is its first word. */
void listed_each(void (*visit)(void *block, void *arg), void *arg);

void listed_fork_lock(void);
void listed_fork_unlock(void);

#endif
