/* What most hook bodies begin and end with: one record for one callback. */
#ifndef BATON_FAMILIES_HANDOFF_H
#define BATON_FAMILIES_HANDOFF_H

#include "base/mem.h"
#include "context/pool/record.h"
#include "context/scope.h"
#include "context/thread.h"
#include "interpose/hooks.h"

/* Captures for one handoff of `family` and remembers the callback. NULL: run it bare (counted). */
static inline __attribute__((always_inline)) struct record *
record_capture(enum family family, void *function, void *data)
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

/*
 * Memory of a handoff that lives long (a timer, a watch, a coroutine), where a record of the arena
 * would keep its chunk. Zeroed, counted in the report's records_alive; NULL: no memory.
 */
static inline void *handoff_alloc(size_t size)
{
    struct thread *thread = thread_enter();
    void *block = thread ? mem_alloc(size) : NULL;

    if (block)
        thread->records.made++;
    return block;
}

static inline void handoff_free(void *block, size_t size)
{
    struct thread *thread = thread_enter();

    mem_free(block, size);
    if (thread)
        thread->records.freed++;
}

/*
 * Threads: what to run rides in the block that the new thread takes, so nothing is allocated or
 * freed for it. NULL: start it bare (counted).
 */
static inline __attribute__((always_inline)) struct thread *
start_capture(enum family family, void *function, void *data)
{
    struct context *context = context_capture(family);
    struct thread *self, *thread;

    if (unlikely(!context))
        return NULL;
    self = thread_self;
    thread = thread_spare(self);
    if (unlikely(!thread)) {
        context_rollback(family, context);
        context_count_bare(family, BARE_MEMORY);
        return NULL;
    }
    thread->start.function = function;
    thread->start.data = data;
    thread->start.context = context;
    self->records.made++;
    return thread;
}

/* The thread could not be started: as if nothing had been captured. Answers `error`. */
int start_rollback(enum family family, struct thread *thread, int error);

/*
 * The body of a thread's trampoline, a GUARDED function: CALL runs thread->start.function. Whoever
 * leaves early is unwound through the frame, and unwind.c gives the block back.
 */
#define START_RUN(thread, CALL)                                               \
    do {                                                                      \
        thread_take(thread);                                                  \
        (thread)->records.freed++;                                            \
        if (unlikely(slot_counts_on))                                         \
            slot_counts_ran((thread), (thread)->start.context);               \
        if (unlikely(threads_are_cancelled))                                  \
            thread_will_exit();                                               \
        SCOPE_RUN((thread)->start.context, FRAME_OWNED | FRAME_THREAD, CALL); \
        thread_leave(thread);                                                 \
    } while (0)

#endif
