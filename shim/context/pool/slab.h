/*
 * Slab objects: 48 bytes for what lives as long as a registration does (a timer, a watch, a source).
 *
 * Records (record.h) are for handoffs that run soon: one that stays keeps its whole chunk. A slab object
 * that stays keeps only itself. Each thread has a few free slab objects at hand, so that making and freeing
 * one takes no atomic operation; they go to and from the chunks in batches, under a lock.
 * A slab object may be freed by another thread than the one that made it.
 */
#ifndef BATON_CONTEXT_POOL_SLAB_H
#define BATON_CONTEXT_POOL_SLAB_H

#include "context/context.h"

enum { SLAB_SIZE = 48, SLAB_AT_HAND = 192, SLAB_BATCH = 96 };

void *slab_new_slow(void);
void slab_free_slow(void *object);

/* One of those at hand; NULL: there is none. */
static inline __attribute__((always_inline)) void *slab_take(struct thread *thread)
{
    void *object = thread->slab.objects;

    if (unlikely(!object))
        return NULL;
    thread->slab.objects = *(void **)object;
    thread->slab.count--;
    thread->records.made++;
    return object;
}

/* Not zeroed; NULL when there is no memory. Any thread, not in a signal handler. */
static inline __attribute__((always_inline)) void *slab_new(void)
{
    void *object = slab_take(thread_self);

    return likely(object != NULL) ? object : slab_new_slow();
}

static inline __attribute__((always_inline)) bool slab_has_room(const struct thread *thread)
{
    return likely(thread->slab.count < SLAB_AT_HAND);
}

/* slab_free by the calling thread, which has room. */
static inline __attribute__((always_inline)) void slab_put(struct thread *thread, void *object)
{
    *(void **)object = thread->slab.objects;
    thread->slab.objects = object;
    thread->slab.count++;
    thread->records.freed++;
}

static inline __attribute__((always_inline)) void slab_free(void *object)
{
    struct thread *thread = thread_self;

    if (unlikely(!slab_has_room(thread)))
        slab_free_slow(object);
    else
        slab_put(thread, object);
}

/* Gives back what the thread has at hand. */
void slab_flush(struct thread *thread);

void slab_fork_lock(void);
void slab_fork_unlock(void);

#endif
