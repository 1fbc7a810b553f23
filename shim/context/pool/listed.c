/*
 * Chunks of blocks, linked for ever. The stack of free ones is pushed to by one and taken whole, so that no
 * block can come back in between.
 */
#include "context/pool/listed.h"

#include <stdint.h>

#include "base/lock.h"
#include "base/mem.h"
#include "context/context.h"

enum { CHUNK_SIZE = 64 * 1024 };

struct block {
    struct block *next;
};

struct chunk {
    struct chunk *next;
    void *unused;
    char blocks[];
};

static size_t block_size, blocks_in_chunk;
static struct lock chunks_lock;
static struct chunk *_Atomic chunks;
static struct block *_Atomic freed;

/* The first of a chunk's; NULL: there is no memory. */
static struct block *make(void)
{
    struct chunk *chunk = mem_map(sizeof *chunk + blocks_in_chunk * block_size);
    struct block *first = NULL;

    if (!chunk)
        return NULL;
    for (size_t i = blocks_in_chunk; i-- > 0;) {
        struct block *block = (struct block *)(void *)(chunk->blocks + i * block_size);

        block->next = first;
        first = block;
    }
    lock_take(&chunks_lock);
    chunk->next = atomic_load(&chunks);
    atomic_store_explicit(&chunks, chunk, memory_order_release);
    lock_drop(&chunks_lock);
    return first;
}

void listed_begin(size_t size)
{
    block_size = (size + 15) & ~(size_t)15;
    blocks_in_chunk = (CHUNK_SIZE - sizeof(struct chunk)) / block_size;
    if (!blocks_in_chunk)
        blocks_in_chunk = 1;
    if (!atomic_load(&chunks)) /* the program may go into a sandbox */
        atomic_store_explicit(&freed, make(), memory_order_release);
}

/* What others have given back, or a new chunk: the first is the answer, the others are the thread's. */
static __attribute__((noinline)) struct block *more(struct thread *thread)
{
    struct block *first = atomic_exchange_explicit(&freed, NULL, memory_order_acquire);

    if (!first && !(first = make()))
        return NULL;
    thread->listed = first->next;
    return first;
}

void *listed_alloc(struct thread *thread)
{
    struct block *first = thread->listed;

    if (unlikely(!first))
        return more(thread);
    thread->listed = first->next;
    return first;
}

void listed_free(void *at)
{
    struct block *block = at, *next = atomic_load_explicit(&freed, memory_order_relaxed);

    do
        block->next = next;
    while (!atomic_compare_exchange_weak_explicit(&freed, &next, block, memory_order_release,
                                                  memory_order_relaxed));
}

__attribute__((no_sanitize("thread"))) void listed_each(void (*visit)(void *block, void *arg),
                                                        void *arg)
{
    struct chunk *chunk = atomic_load_explicit(&chunks, memory_order_acquire);

    for (; chunk; chunk = chunk->next) {
        for (size_t i = 0; i < blocks_in_chunk; i++)
            visit(chunk->blocks + i * block_size, arg);
    }
}

void listed_fork_lock(void)
{
    lock_take_for_fork(&chunks_lock);
}

void listed_fork_unlock(void)
{
    lock_drop_after_fork(&chunks_lock);
}
