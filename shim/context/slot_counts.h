/*
 * Of how many handoffs each slot had a value, and how many tasks ran with one: for the report, counted where one is
 * wanted. A handoff costs nothing for it on the short ways: what a thread has taken of its snapshot's references,
 * and has given back of a context's after runs, is told by slot when it takes another snapshot, or lets another
 * context go. Threads that start and repeating callbacks are counted one by one (context_keep_guard, context_start_guard).
 */
#ifndef BATON_CONTEXT_SLOT_COUNTS_H
#define BATON_CONTEXT_SLOT_COUNTS_H

#include "context/context.h"

struct slot;

struct slot_count {
    uint64_t captured; /* handoffs whose context had a value of it */
    uint64_t
        attached; /* runs in such a context, which have ended, or are of threads that have not */
};

/* From now on slot_counts_on; before any capture. */
void slot_counts_begin(void);

/* Handoffs that took the context along, runs in it: by the calling thread, whose block it is. */
void slot_counts_add(struct thread *thread, const struct context *context, int64_t captured,
                     int64_t attached);
/* One run, which has the context's value of that slot for itself: the context, which the run is counted by when it ends,
 * has none any more. */
void slot_counts_moved(struct thread *thread, const struct slot *slot);
/* One handoff, in a signal handler. */
void slot_counts_add_signal(struct thread *thread, const struct context *context);

/* Counts what was taken since the last time, or given back: while the thread still has that context. */
void slot_counts_tell_snapshot(struct thread *thread);
void slot_counts_tell_batch(struct thread *thread);
void slot_counts_tell_deferred(struct thread *thread);

/* Runs of the calling thread with values, counted so far: a number that changes when there are more. Only reads. */
uint64_t slot_counts_runs(const struct thread *thread);

/* In a child: the thread counts from zero. */
void slot_counts_forget(struct thread *thread);

/* Of all threads, by slot. Exact when no other thread hands over or runs tasks meanwhile. */
void slot_counts_sum(struct slot_count *sums);

#endif
