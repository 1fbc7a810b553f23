/*
 * BATON_STRICT: what programs do wrong with handed over work, besides values that dangle (dangling.h): contexts
 * that are kept for ever, a worker that keeps values of a task, work that hands itself over without end,
 * and the interface used out of order. Nothing here is called while dangling_on is false.
 */
#ifndef BATON_CONTEXT_STRICT_H
#define BATON_CONTEXT_STRICT_H

#include <stdint.h>

#include "context/context.h"

#pragma GCC visibility push(hidden)

/* Of thread.worker: what a thread that is no program's own has done so far. */
enum {
    WORKER = 1,
    WORKER_HAS_SET = 2,
    WORKER_WORDS = 4, /* what it had of the copied slots at its last attach is known */
};
enum { STRICT_BYTES = 256 }; /* of copied slots that are compared, at most */

/* A context that is held for longer is told of; 0: none. Before any capture. */
void strict_begin(uint64_t old_ns);
/* `thread` has made a context that is not empty. */
void strict_born(struct thread *thread, struct context *context);
/* A context is gone, mostly because the calling thread is done with its task. */
void strict_gone_slow(struct thread *thread);
static inline void strict_gone(struct thread *thread)
{
    if (unlikely(!thread->attached && (thread->worker & (WORKER | WORKER_HAS_SET)) != WORKER))
        strict_gone_slow(thread);
}
/* A thread that has nothing attached has set a key. */
void strict_key_set(struct thread *thread);
/* The same for copied values: `before` is what the thread had at its last attach, `now` what it has at this one. */
void strict_attached(struct thread *thread, const void *before, const void *now);

/* The same where words are all that is copied, and what the thread had is in thread_front: becomes what it has. */
void strict_front_changed(struct thread *thread);
/* The thread goes on with another stack. */
void strict_switched(struct thread *thread);

/* By the interface: a context is entered that is entered; a scope is left whose attach is gone. */
void strict_entered_twice(const void *site);
void strict_left_late(const void *site);

/* At exit: what is held by nobody that runs. */
void strict_say_held(void);
/* In a forked child: what the parent has handed over is the parent's. */
void strict_forked(void);

#pragma GCC visibility pop

#endif
