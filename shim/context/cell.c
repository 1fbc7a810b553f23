/*
 * Chunks of cells. See cell.h for the idea.
 *
 * A chunk has a list of its free cells and is on the list of open chunks while that is not empty;
 * when all of its cells are free it goes back to where records take their chunks from, so memory
 * that a burst of registrations needed returns to the system. Everything in a chunk but the cells
 * that are out is written under the lock.
 */
#include "context/cell.h"

#include "base/lock.h"
#include "context/record.h"

struct cell_chunk {
    struct cell_chunk *next, *prev; /* open chunks */
    void *free;
    uint32_t used;  /* cells that are out: in use, or at hand in a thread */
    uint32_t fresh; /* cells that were never out, from the end of the chunk */
    void *unused[2];
    char cells[][CELL_SIZE];
};

enum { CELLS_IN_CHUNK = (RECORD_CHUNK_SIZE - sizeof(struct cell_chunk)) / CELL_SIZE };
_Static_assert(sizeof(struct cell_chunk) % 16 == 0 && CELL_SIZE % 16 == 0, "cells are aligned");

static struct lock cells_lock;
static struct cell_chunk *chunks_open;

static struct cell_chunk *chunk_of(void *cell)
{
    return (struct cell_chunk *)((uintptr_t)cell & ~(uintptr_t)(RECORD_CHUNK_SIZE - 1));
}

static void chunk_open(struct cell_chunk *chunk)
{
    chunk->prev = NULL;
    chunk->next = chunks_open;
    if (chunks_open)
        chunks_open->prev = chunk;
    chunks_open = chunk;
}

static void chunk_close(struct cell_chunk *chunk)
{
    if (chunk->prev)
        chunk->prev->next = chunk->next;
    else
        chunks_open = chunk->next;
    if (chunk->next)
        chunk->next->prev = chunk->prev;
}

static bool chunk_is_full(const struct cell_chunk *chunk)
{
    return !chunk->free && !chunk->fresh;
}

/* Lock held. */
static void *take_one(void)
{
    struct cell_chunk *chunk = chunks_open;
    void *cell;

    if (!chunk) {
        chunk = record_chunk_take();
        if (!chunk)
            return NULL;
        chunk->free = NULL;
        chunk->used = 0;
        chunk->fresh = CELLS_IN_CHUNK;
        chunk_open(chunk);
    }
    cell = chunk->free;
    if (cell)
        chunk->free = *(void **)cell;
    else
        cell = chunk->cells[CELLS_IN_CHUNK - chunk->fresh--];
    chunk->used++;
    if (chunk_is_full(chunk))
        chunk_close(chunk);
    return cell;
}

/* Lock held. Answers a chunk that nobody uses any more. */
static struct cell_chunk *give_one(void *cell)
{
    struct cell_chunk *chunk = chunk_of(cell);

    if (chunk_is_full(chunk))
        chunk_open(chunk);
    *(void **)cell = chunk->free;
    chunk->free = cell;
    if (--chunk->used)
        return NULL;
    chunk_close(chunk);
    return chunk;
}

static void give(void **first, unsigned count)
{
    struct cell_chunk *unused = NULL;

    lock_take(&cells_lock);
    while (count-- && *first) {
        void *cell = *first;
        struct cell_chunk *chunk;

        *first = *(void **)cell;
        chunk = give_one(cell);
        if (chunk) {
            chunk->next = unused;
            unused = chunk;
        }
    }
    lock_drop(&cells_lock);
    while (unused) {
        struct cell_chunk *chunk = unused;

        unused = chunk->next;
        record_chunk_give(chunk);
    }
}

void *cell_new_slow(void)
{
    struct thread *thread = thread_enter();
    void *cell;

    if (!thread)
        return NULL;
    lock_take(&cells_lock);
    cell = take_one();
    for (unsigned i = 1; cell && i < CELLS_BATCH; i++) {
        void *more = take_one();

        if (!more)
            break;
        *(void **)more = thread->cells;
        thread->cells = more;
        thread->cells_count++;
    }
    lock_drop(&cells_lock);
    if (cell)
        thread->records_made++;
    return cell;
}

void cell_free_slow(void *cell)
{
    struct thread *thread = thread_enter();

    if (!thread) {
        *(void **)cell = NULL;
        give(&cell, 1); /* uncounted: there is nobody to count for */
        return;
    }
    if (thread->cells_count >= CELLS_AT_HAND) {
        give(&thread->cells, CELLS_BATCH);
        thread->cells_count -= CELLS_BATCH;
    }
    cell_free(cell);
}

void cell_flush(struct thread *thread)
{
    if (thread->cells)
        give(&thread->cells, UINT32_MAX);
    thread->cells_count = 0;
}

void cell_fork_lock(void)
{
    lock_take_for_fork(&cells_lock);
}

void cell_fork_unlock(void)
{
    lock_drop_after_fork(&cells_lock);
}
