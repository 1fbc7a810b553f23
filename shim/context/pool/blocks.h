/*
 * The memory of contexts: blocks of one size, which a thread takes from a few of its own and gives back to them.
 *
 * A thread that changes a value before each handoff needs one a handoff, and whoever lets the last reference go
 * gives it back: neither takes a lock, but for a dozen of them at a time.
 */
#ifndef BATON_CONTEXT_POOL_BLOCKS_H
#define BATON_CONTEXT_POOL_BLOCKS_H

#include <stddef.h>

#include "context/context.h"

/* Once, before the first: how large they are. */
void blocks_begin(size_t size);

/* With whatever was there; NULL: no memory. Any thread, not in a signal handler. errno is kept. */
void *blocks_alloc_slow(struct thread *thread);
static inline __attribute__((always_inline)) void *blocks_alloc(struct thread *thread)
{
    void *block = thread->blocks.chain;

    if (unlikely(!block))
        return blocks_alloc_slow(thread);
    thread->blocks.chain = *(void **)block;
    thread->blocks.count--;
    return block;
}
void blocks_free_slow(struct thread *thread, void *block);
/* So many a thread keeps in a chain; thread_unknown none. */
extern uint32_t blocks_chain_length __attribute__((visibility("hidden")));
static inline __attribute__((always_inline)) void blocks_free(struct thread *thread, void *block)
{
    if (unlikely(thread->blocks.count >= blocks_chain_length)) {
        blocks_free_slow(thread, block);
        return;
    }
    *(void **)block = thread->blocks.chain;
    thread->blocks.chain = block;
    thread->blocks.count++;
}

/* Gives back what the thread has: it ends. */
void blocks_flush(struct thread *thread);

void blocks_fork_lock(void);
void blocks_fork_unlock(void);

#endif
