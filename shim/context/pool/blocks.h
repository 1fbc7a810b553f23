/*
 * The memory of contexts: blocks of one size, which a thread takes from a few of its own and gives back to them.
 *
 * A thread that changes a value before each handoff needs one a handoff, and whoever lets the last reference go
 * gives it back: neither takes a lock, but for a dozen of them at a time.
 */
#ifndef BATON_CONTEXT_POOL_BLOCKS_H
#define BATON_CONTEXT_POOL_BLOCKS_H

#include <stddef.h>

struct thread;

/* Once, before the first: how large they are. */
void blocks_begin(size_t size);

/* With whatever was there; NULL: no memory. Any thread, not in a signal handler. errno is kept. */
void *blocks_alloc(struct thread *thread);
void blocks_free(struct thread *thread, void *block);

/* Gives back what the thread has: it ends. */
void blocks_flush(struct thread *thread);

void blocks_fork_lock(void);
void blocks_fork_unlock(void);

#endif
