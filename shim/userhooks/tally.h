/*
 * How often each hook fired and carried. A thread counts in memory of its own, which stays with its
 * block; one that has none yet (it was never slow, or there is no memory) counts in the hook.
 */
#ifndef BATON_USERHOOKS_TALLY_H
#define BATON_USERHOOKS_TALLY_H

#include "context/context.h"
#include "userhooks/named.h"

struct named_tally {
    uint64_t fired, carried;
};

/* Gives the thread its memory. Slow. */
void tally_begin(struct thread *thread);
/* Of all threads. */
void tally_sum(const struct named_hook *hook, struct named_tally *sum);

static inline struct named_tally *tally_at(const struct thread *thread)
{
    return atomic_load_explicit(&thread->guests[GUEST_named_counts], memory_order_relaxed);
}

static inline struct named_tally *tally_of(const struct named_hook *hook)
{
    struct named_tally *own = tally_at(thread_self);

    return likely(own) ? &own[hook->index] : NULL;
}

static inline void tally_fired(struct named_hook *hook)
{
    struct named_tally *own = tally_of(hook);

    if (likely(own))
        own->fired++;
    else
        atomic_fetch_add_explicit(&hook->fired, 1, memory_order_relaxed);
}

/* Which hook it is that hands over: kept for each thread when somebody wants to see the handoffs. */
extern bool tally_keeps_last __attribute__((visibility("hidden")));

static inline void tally_keep_last(const struct named_hook *hook, bool is_slow)
{
    struct named_tally *own = tally_at(thread_self);

    if (!own && is_slow && thread_enter()) {
        tally_begin(thread_self);
        own = tally_at(thread_self);
    }
    if (own)
        own[named_count].fired = hook->index + 1;
}

/* 1 + its index, of the one that the thread has entered last; 0: not known. */
static inline uint32_t tally_last(const struct thread *thread)
{
    const struct named_tally *own = tally_at(thread);

    return own ? (uint32_t)own[named_count].fired : 0;
}

/* -1: it was counted, and came to nothing. */
static inline void tally_carried(struct named_hook *hook, int change)
{
    struct named_tally *own = tally_of(hook);

    if (likely(own))
        own->carried += (uint64_t)change;
    else
        atomic_fetch_add_explicit(&hook->carried, (uint64_t)change, memory_order_relaxed);
}

/* Around fork: a child knows what the threads that it does not have had counted. */
void tally_fork(void);
void tally_fork_child(void);

#endif
