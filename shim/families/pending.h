/*
 * Tasks that wait in a pool which drops them without a word: a list of them, so that what is cancelled
 * or left over lets its context go.
 *
 * A task is freed by whoever comes last of the push, which must have returned, and the one who takes
 * it: the worker that runs it, or a cancel that has found it waiting before the real one and after.
 */
#ifndef BATON_FAMILIES_PENDING_H
#define BATON_FAMILIES_PENDING_H

#include "families/handoff.h"

struct pending_task {
    void *function, *data;
    struct context *context;
    const void *pool;
    const void *owner; /* by which it may be cancelled */
    bool is_queued;    /* the push has returned: a cancel that begins now will find it */
    bool is_taken;     /* off the list: it runs, or has been dropped */
    unsigned seen;     /* the last cancel that found it waiting */
    struct pending_task *previous, *next;
};

/* NULL: run it bare (counted). */
struct pending_task *pending_new(enum family family, void *function, void *data, const void *pool,
                                 const void *owner);
/* The push has returned; is_refused: and the task is not in the pool. */
void pending_pushed(enum family family, struct pending_task *task, const void *owner,
                    bool is_refused);
/* The worker's, before it runs the callback: what it has to know. */
struct pending_task pending_take(struct pending_task *task);
/* Around the real cancel: which tasks wait (pool or owner NULL: any), and those that still do are dropped. */
unsigned pending_cancel_begin(const void *pool, const void *owner);
void pending_cancel_end(unsigned cancel);

#endif
