/*
 * Strands: one flow of execution on one stack. A thread's own stack is its *home* strand; every
 * coroutine is one more. What is attached belongs to the strand, not to the thread: a switch of
 * stacks puts the thread's attach state aside and takes up the one of the stack it goes to.
 *
 * Ownership: a suspended strand's state (attached contexts, levels, saved values) is the strand's;
 * while the strand runs, the same state is in the thread block and the strand's copy means nothing.
 * A strand runs in one thread at a time, and its switches happen one after the other: the program's
 * own hand over of the coroutine orders them. It is ended by its entry function's return, or dropped
 * when its stack is used for another one (rule C15); home strands are never dropped.
 */
#ifndef BATON_CONTEXT_STRAND_H
#define BATON_CONTEXT_STRAND_H

#include <string.h>

#include "context/context.h"

struct strand {
    struct thread_state state; /* while suspended */
    uintptr_t sp;              /* where it was left; how it is recognised first */
    void *values; /* copied values while suspended (slots_suspend); NULL: none are copied */
    void *front; /* thread_front of an attach that has no level, while suspended; NULL: not wordy */
    uint32_t epoch; /* slots_epoch when they were saved */
    bool has_values;
    bool is_counted;       /* in the report's records, as it holds a context from its making */
    bool is_unlisted;      /* its stack has been given to another strand while it ran */
    uintptr_t low, size;   /* its stack; size 0: a home */
    struct context *start; /* of the entry function, until that has it */
    void *more;            /* the family's, mem_alloc(more_size) */
    size_t more_size;
};

enum { STRANDS_RECENT = 64 };

/* What a thread knows of strands; made at its first switch, kept with its block. */
struct strands {
    struct strand *current;
    struct strand home;
    struct strand
        *recent[STRANDS_RECENT]; /* by the program's context pointer: a guess, checked by sp */
};

/* Not zero once a strand besides homes has been made: until then switches need not be looked at. */
extern _Atomic uint32_t strands_made __attribute__((visibility("hidden")));

/*
 * A strand for the stack [low, low + size), which is about to be started at stack pointer `sp` from
 * the program's context `hint`. Takes over the reference to `start` and the block `more`; both may be
 * NULL for a stack that begins with nothing attached. Drops what was on that stack before. NULL: no
 * memory, nothing taken.
 */
struct strand *strand_new(uintptr_t low, size_t size, struct context *start, void *more,
                          size_t more_size);
void strand_made(struct strand *strand, const void *hint, uintptr_t sp);

struct strand *strand_find_slow(struct strands *own, const void *hint, uintptr_t sp);
void strand_switch_slow(struct strands *own, struct strand *to);
struct strands *strand_own_slow(void);

static inline bool strand_is_home(const struct thread *thread)
{
    return !thread->strands || thread->strands->current == &thread->strands->home;
}

static inline unsigned strand_slot(const void *hint)
{
    return (uint32_t)(uintptr_t)hint * 2654435761u / (UINT32_MAX / STRANDS_RECENT + 1);
}

/* The strand whose stack `sp` is on: the thread's home if no other is known. */
static inline __attribute__((always_inline)) struct strand *
strand_find(struct strands *own, const void *hint, uintptr_t sp)
{
    struct strand *guess = own->recent[strand_slot(hint)];

    return likely(guess && guess->sp == sp) ? guess : strand_find_slow(own, hint, sp);
}

/* Makes `to` what the calling thread runs; the switch itself must follow at once. */
static inline __attribute__((always_inline)) void
strand_switch(struct thread *thread, struct strands *own, struct strand *to)
{
    struct strand *from = own->current;

    if (from == to)
        return;
    if (unlikely(!guard_is_clear() || from->is_unlisted)) {
        strand_switch_slow(own, to);
        return;
    }
    /* Nothing is copied: the saved values are the same nothing for everybody. */
    memcpy(&from->state, &thread->state, offsetof(struct thread_state, saved));
    memcpy(&thread->state, &to->state, offsetof(struct thread_state, saved));
    own->current = to;
}

/* The current strand's entry function has returned and control goes to `to`: drops the strand. */
void strand_end(struct strands *own, struct strand *ended, struct strand *to);

/* For thread.c: the thread ends wherever it is. */
void strand_thread_ends(struct thread *thread);
void strand_fork_lock(void);
void strand_fork_unlock(void);

#endif
