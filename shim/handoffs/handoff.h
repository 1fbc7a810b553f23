/* What most hook bodies begin and end with: one record for one callback. */
#ifndef BATON_HANDOFFS_HANDOFF_H
#define BATON_HANDOFFS_HANDOFF_H

#include "base/mem.h"
#include "context/record.h"
#include "context/thread.h"
#include "handoffs/hooks.h"

/* Captures for one handoff of `family` and remembers the callback. NULL: run it bare (counted). */
static inline __attribute__((always_inline)) struct record *record_capture(enum family family, void *function,
                                                                           void *data)
{
    struct context *context = context_capture(family);
    struct record *record;

    if (unlikely(!context))
        return NULL;
    record = record_new();
    if (unlikely(!record)) {
        context_rollback(family, context);
        context_count_bare(family, BARE_MEMORY);
        return NULL;
    }
    record->function = function;
    record->data = data;
    record->context = context;
    return record;
}

/* The same where everything is at hand, NULL where it is not: nothing is called. */
static inline __attribute__((always_inline)) struct record *record_try_capture(enum family family, void *function,
                                                                               void *data)
{
    struct thread *thread = thread_self;
    struct context *context;
    struct record *record;

    if (unlikely(thread->record_next == thread->record_end || !(context = context_try_capture(family))))
        return NULL;
    record = record_bump(thread);
    record->function = function;
    record->data = data;
    record->context = context;
    return record;
}

/* The submit failed: as if nothing had been captured. */
static inline void record_rollback(enum family family, struct record *record)
{
    context_rollback(family, record->context);
    record_free(record);
}

/* Whoever runs the callback takes the record out and frees it before the user's code runs. */
static inline __attribute__((always_inline)) struct record record_take(struct record *record)
{
    struct record taken = *record;

    record_free(record);
    return taken;
}

/* The same at the start of a thread of ours. Its block first: freeing the record would give it one
 * that glibc has to clean up, which is dear (700 instructions). */
static inline struct record record_take_in_new_thread(struct record *record)
{
    thread_enter_kind(true);
    return record_take(record);
}

/*
 * Memory of a handoff that lives long (a timer, a watch, a coroutine), where a record of the arena
 * would keep its chunk. Zeroed, counted in the report's records_alive; NULL: no memory.
 */
static inline void *handoff_alloc(size_t size)
{
    struct thread *thread = thread_enter();
    void *block = thread ? mem_alloc(size) : NULL;

    if (block)
        thread->records_made++;
    return block;
}

static inline void handoff_free(void *block, size_t size)
{
    struct thread *thread = thread_enter();

    mem_free(block, size);
    if (thread)
        thread->records_freed++;
}

#endif
