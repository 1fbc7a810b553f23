/*
 * Chunks of blocks, of the regions that records live in (record.h), so that what a burst needed goes back to the system
 * as theirs does. See blocks.h.
 *
 * A thread has two chains of free blocks, so that one that takes and gives back by turns does not come here each
 * time. All other free blocks are in their chunk's list, which the lock guards, and a chunk of which none is used
 * goes back, but for one. What is larger than a few to a chunk is mem.h's.
 *
 * Rules: no foreign code, nothing under the lock but lists. ThreadSanitizer and AddressSanitizer see mem.h's blocks alone.
 */
#include "context/pool/blocks.h"

#include <stdint.h>

#include "base/lock.h"
#include "base/mem.h"
#include "context/context.h"
#include "context/pool/record.h"

enum { CHUNK_MIN = 6, CHAIN_BYTES = 6144, CHAIN_MAX = 32 };

struct block {
    struct block *next;
};

struct chunk {
    struct chunk *next, *previous; /* of those that have free blocks */
    struct block *free;
    uint32_t used; /* by threads, in their chains too */
    uint32_t unused[9];
    char blocks[];
};
_Static_assert(sizeof(struct chunk) == 64, "blocks begin at a line");

static size_t block_size;
static uint32_t blocks_in_chunk; /* 0: they are mem.h's */
uint32_t blocks_chain_length;
static struct lock blocks_lock;
static struct chunk *chunks_free; /* with free blocks */
static struct chunk *chunk_empty; /* the one of them of which none is used */

void blocks_begin(size_t size)
{
    block_size = (size + 15) & ~(size_t)15;
    blocks_in_chunk = (uint32_t)((RECORD_CHUNK_SIZE - sizeof(struct chunk)) / block_size);
    blocks_chain_length = (uint32_t)(CHAIN_BYTES / block_size);
    if (blocks_chain_length > CHAIN_MAX)
        blocks_chain_length = CHAIN_MAX;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    blocks_in_chunk = 0;
#endif
    if (blocks_in_chunk < CHUNK_MIN)
        blocks_in_chunk = blocks_chain_length = 0;
}

static struct chunk *chunk_of(const void *block)
{
    return (struct chunk *)((uintptr_t)block & ~(uintptr_t)(RECORD_CHUNK_SIZE - 1));
}

static void chunk_link(struct chunk *chunk)
{
    chunk->previous = NULL;
    chunk->next = chunks_free;
    if (chunks_free)
        chunks_free->previous = chunk;
    chunks_free = chunk;
}

static void chunk_unlink(struct chunk *chunk)
{
    if (chunk->next)
        chunk->next->previous = chunk->previous;
    if (chunk->previous)
        chunk->previous->next = chunk->next;
    else
        chunks_free = chunk->next;
}

/* Nobody else knows it. */
static struct chunk *chunk_new(void)
{
    struct chunk *chunk = record_chunk_take();

    if (!chunk)
        return NULL;
    chunk->free = NULL;
    chunk->used = 0;
    for (uint32_t i = blocks_in_chunk; i-- > 0;) {
        struct block *block = (struct block *)(void *)(chunk->blocks + i * block_size);

        block->next = chunk->free;
        chunk->free = block;
    }
    return chunk;
}

/* A chain of free blocks, *count of them: at most a chain's length, of one chunk. NULL: no memory. */
static struct block *chain_take(uint32_t *count)
{
    struct chunk *fresh = NULL, *chunk;
    struct block *first, *last;

    lock_take(&blocks_lock);
    if (!chunks_free) {
        lock_drop(&blocks_lock);
        if (!(fresh = chunk_new()))
            return NULL;
        lock_take(&blocks_lock);
        chunk_link(fresh);
    }
    chunk = chunks_free;
    if (chunk == chunk_empty)
        chunk_empty = NULL;
    first = last = chunk->free;
    for (*count = 1; *count < blocks_chain_length && last->next; (*count)++)
        last = last->next;
    chunk->free = last->next;
    last->next = NULL;
    chunk->used += *count;
    if (!chunk->free)
        chunk_unlink(chunk);
    lock_drop(&blocks_lock);
    return first;
}

static void chain_give(struct block *chain)
{
    struct chunk *gone = NULL;

    lock_take(&blocks_lock);
    while (chain) {
        struct block *next = chain->next;
        struct chunk *chunk = chunk_of(chain);

        if (!chunk->free)
            chunk_link(chunk);
        chain->next = chunk->free;
        chunk->free = chain;
        chain = next;
        if (--chunk->used)
            continue;
        if (!chunk_empty) {
            chunk_empty = chunk;
            continue;
        }
        chunk_unlink(chunk);
        chunk->next = gone;
        gone = chunk;
    }
    lock_drop(&blocks_lock);
    while (gone) {
        struct chunk *next = gone->next;

        record_chunk_give(gone);
        gone = next;
    }
}

void *blocks_alloc_slow(struct thread *thread)
{
    struct block *block;

    if (!blocks_in_chunk)
        return mem_alloc_dirty(block_size);
    if (unlikely(thread == &thread_unknown)) {
        uint32_t count;

        block = chain_take(&count);
        if (block)
            chain_give(block->next);
        return block;
    }
    block = thread->blocks.other;
    if (block) {
        thread->blocks.other = NULL;
        thread->blocks.count = blocks_chain_length;
    } else if (!(block = chain_take(&thread->blocks.count))) {
        return NULL;
    }
    thread->blocks.chain = block->next;
    thread->blocks.count--;
    return block;
}

void blocks_free_slow(struct thread *thread, void *freed)
{
    struct block *block = freed;

    if (!blocks_in_chunk) {
        mem_free(block, block_size);
        return;
    }
    if (unlikely(thread == &thread_unknown)) {
        block->next = NULL;
        chain_give(block);
        return;
    }
    if (thread->blocks.other)
        chain_give(thread->blocks.other);
    thread->blocks.other = thread->blocks.chain;
    block->next = NULL;
    thread->blocks.chain = block;
    thread->blocks.count = 1;
}

void blocks_flush(struct thread *thread)
{
    void *chain = thread->blocks.chain, *other = thread->blocks.other;

    thread->blocks.chain = thread->blocks.other = NULL;
    thread->blocks.count = 0;
    if (chain)
        chain_give(chain);
    if (other)
        chain_give(other);
}

void blocks_fork_lock(void)
{
    lock_take_for_fork(&blocks_lock);
}

void blocks_fork_unlock(void)
{
    lock_drop_after_fork(&blocks_lock);
}
