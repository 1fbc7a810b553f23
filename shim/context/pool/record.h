/*
 * Records of handoffs in flight: the callback, its data and the captured context, 24 bytes.
 *
 * An arena: a thread hands out the records of its chunk one after another and never looks back;
 * whoever frees a record only counts it; the chunk is used again when all of its records are
 * freed. So neither making nor freeing one takes an atomic operation (a chunk costs a few), and
 * nothing is written to a record's line but by the two threads that the handoff joins anyway.
 *
 * The price: a record that stays in flight keeps its chunk of 8 KiB. Use these for handoffs that
 * run once and soon; what lives long (a timer, a watch) takes mem_alloc.
 *
 * Ownership: the submitter owns a record until the real submit function has taken it; from then on
 * whoever runs or discards the callback does, and frees it before it calls the user's code.
 */
#ifndef BATON_CONTEXT_POOL_RECORD_H
#define BATON_CONTEXT_POOL_RECORD_H

#include "context/context.h"

enum {
    RECORD_CHUNK_SIZE = 8192,
    RECORD_SIZE = 24,
    RECORDS_IN_CHUNK = (RECORD_CHUNK_SIZE - 16) / RECORD_SIZE
};

struct record {
    void *function;
    void *data;
    struct context *context;
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct record) == RECORD_SIZE, "records are packed");

/* Asks the system for what the first handoffs need; at the start. */
void record_prepare(void);
struct record *record_new_slow(void);
void record_free_slow(struct thread *thread, struct record_chunk *chunk);

/* The next one of a thread that has one at hand. */
static inline __attribute__((always_inline)) struct record *record_bump(struct thread *thread)
{
    char *record = thread->records.next;

    thread->records.next = record + RECORD_SIZE;
    thread->records.made++;
    return (struct record *)(void *)record;
}

/* NULL when there is no memory. Any thread, not in a signal handler. */
static inline struct record *record_new(void)
{
    struct thread *thread = thread_self;

    return unlikely(thread->records.next == thread->records.end) ? record_new_slow()
                                                                 : record_bump(thread);
}

static inline struct record_chunk *record_chunk_of(const struct record *record)
{
    return (struct record_chunk *)((uintptr_t)record & ~(uintptr_t)(RECORD_CHUNK_SIZE - 1));
}

/* Whatever RECORD is, in a thread that has freed none, too: this is never 0. */
static inline uintptr_t record_last_of(const void *record)
{
    return (uintptr_t)record | (uintptr_t)(RECORD_CHUNK_SIZE - 1);
}

/* Freeing it is a matter of counting. */
static inline bool record_is_near(const struct thread *thread, const struct record *record)
{
    return likely(record_last_of(record) == thread->records.freed_last);
}

static inline void record_free_near(struct thread *thread)
{
    thread->records.untold++;
}

static inline void record_free(struct record *record)
{
    struct thread *thread = thread_self;

    if (record_is_near(thread, record))
        record_free_near(thread);
    else
        record_free_slow(thread, record_chunk_of(record));
}

/* Never NULL: takes from a reserve, and waits for it to refill. For callers that cannot do without. */
struct record *record_new_sure(void);

/* Tells chunks what this thread has freed of them. */
void record_flush(struct thread *thread);

/* Is there a record at PLACE, a value that anybody may have made up? Nothing is read unless it is our memory. */
bool record_is_at(const void *place);

/* Chunks of RECORD_CHUNK_SIZE, aligned to it, not zeroed: slab objects (slab.c) live in the same regions. */
void *record_chunk_take(void);
void record_chunk_give(void *chunk);

void record_fork_lock(void);
void record_fork_unlock(void);

#endif
