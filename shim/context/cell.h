/*
 * Cells: 48 bytes for what lives as long as a registration does (a timer, a watch, a source).
 *
 * Records (record.h) are for handoffs that run soon: one that stays keeps its whole chunk. A cell
 * that stays keeps only itself. Each thread has a few free cells at hand, so that making and freeing
 * one takes no atomic operation; they go to and from the chunks in batches, under a lock.
 * A cell may be freed by another thread than the one that made it.
 */
#ifndef BATON_CONTEXT_CELL_H
#define BATON_CONTEXT_CELL_H

#include "context/context.h"

enum { CELL_SIZE = 48, CELLS_AT_HAND = 192, CELLS_BATCH = 96 };

void *cell_new_slow(void);
void cell_free_slow(void *cell);

/* Not zeroed; NULL when there is no memory. Any thread, not in a signal handler. */
static inline __attribute__((always_inline)) void *cell_new(void)
{
    struct thread *thread = thread_self;
    void *cell = thread->cells;

    if (unlikely(!cell))
        return cell_new_slow();
    thread->cells = *(void **)cell;
    thread->cells_count--;
    thread->records_made++;
    return cell;
}

static inline __attribute__((always_inline)) void cell_free(void *cell)
{
    struct thread *thread = thread_self;

    if (unlikely(thread->cells_count >= CELLS_AT_HAND)) {
        cell_free_slow(cell);
        return;
    }
    *(void **)cell = thread->cells;
    thread->cells = cell;
    thread->cells_count++;
    thread->records_freed++;
}

/* Gives back what the thread has at hand. */
void cell_flush(struct thread *thread);

void cell_fork_lock(void);
void cell_fork_unlock(void);

#endif
