/*
 * Who watches handoffs (shim/observe), called by capture, attach, detach and release through a table
 * that is empty until somebody asks. Then GUARD_OBSERVED is up, so that only the slow functions run,
 * and each handoff has a context of its own: a *watched* copy, which keeps one reference to the context
 * that it was made from (`base`, which owns the values), or, where every capture builds one anyway
 * (CONTEXT_ONCE), that one itself, *tagged*.
 */
#ifndef BATON_CONTEXT_OBSERVER_H
#define BATON_CONTEXT_OBSERVER_H

#include "context/context.h"

struct handoff; /* the watcher's */

/* How an attach ends: of the one that is being left, thread.ending. */
enum observed_end { ENDED_RETURN, ENDED_EXCEPTION, ENDED_CANCELLED, ENDED_JUMPED, ENDED_SUSPENDED };

struct observer {
    /* A handoff of `family` takes `context` along; its reference is taken over. The answer is what
     * rides with the callback, and may be the same. */
    struct context *(*capture)(struct thread *thread, struct context *context, unsigned family);
    /* A watched or tagged context was made a thread's; will be left, or is put aside with its stack. */
    void (*start)(struct thread *thread, const struct context *context);
    void (*end)(struct thread *thread, const struct context *context, enum observed_end how);
    /* Its last reference is gone. */
    void (*free)(struct context *context);
    /* A repeating callback goes on from `next` instead, whose reference is taken over. */
    struct context *(*succeed)(const struct context *context, struct context *next);
};

extern const struct observer *observer;
/* After context_init and before any capture: the guard goes up. */
void observer_set(const struct observer *table);

/* Bytes of a watched copy, and where in it the context is. */
size_t observer_copy_size(void);
struct context *observer_copy_at(void *memory);
/* Makes `copy` a watched copy of `context`, whose reference it takes over. */
void observer_fill(struct context *copy, struct context *context, struct handoff *handoff);
/* Marks a context that nobody else has. */
void observer_tag(struct context *context, struct handoff *handoff);

size_t observer_context_size(void);
struct handoff **observer_place(const struct context *copy);

/* Whose it is; NULL: nobody's. */
static inline struct handoff *observer_handoff(const struct context *context)
{
    if (context->flags & CONTEXT_OVERLAY)
        context = context->base;
    if (context->flags & CONTEXT_WATCHED)
        return *observer_place(context);
    return context->flags & CONTEXT_TAGGED ? (struct handoff *)(void *)context->base : NULL;
}

/* The context that others may have as well. */
static inline struct context *observer_behind(struct context *context)
{
    return context->flags & CONTEXT_WATCHED ? context->base : context;
}

#endif
