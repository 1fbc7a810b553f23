/*
 * The watcher of handoffs (shim/observe), called by capture, attach, detach and release through a table
 * that is empty until somebody asks. Then GUARD_OBSERVED is up, so that only the slow functions run,
 * and each handoff has a context of its own: a *watched* copy, which keeps one reference to the context
 * that it was made from (`base`, which owns the values), or, where every capture builds one anyway
 * (CONTEXT_ONCE), that one itself, *tagged*.
 */
#ifndef BATON_CONTEXT_OBSERVER_H
#define BATON_CONTEXT_OBSERVER_H

#include "context/context.h"

#pragma GCC visibility push(hidden)

struct handoff; /* the watcher's, which begins with: */
struct observed {
    uint64_t id;
    uint32_t node, runs; /* how many have begun */
};

/* How an attach ends: of the one that is being left, thread.ending. */
enum observed_end { ENDED_RETURN, ENDED_EXCEPTION, ENDED_CANCELLED, ENDED_JUMPED, ENDED_SUSPENDED };

#define OBSERVER_CALL(family, call) ((uint64_t)(family) << 16 | (call))

struct observer {
    /* A handoff of `family` takes `context` along; its reference is taken over. The answer is what
     * rides with the callback, and may be the same. */
    struct context *(*capture)(struct thread *thread, struct context *context, unsigned family);
    /* The same where the thread has nothing attached and `context` is its snapshot, which others have too. */
    struct context *(*capture_plain)(struct thread *thread, struct context *context,
                                     unsigned family);
    /* The same where the hook says who calls what, OBSERVER_CALL, in place of hook_call; NULL as `finished`. */
    struct context *(*capture_call)(struct thread *thread, struct context *context, uint64_t call,
                                    const void *site);
    /* A watched or tagged context was made a thread's; will be left, or is put aside with its stack. */
    void (*start)(struct thread *thread, const struct context *context);
    void (*end)(struct thread *thread, const struct context *context, enum observed_end how);
    /* Both in one, where an attach that owns its reference has been left by return: `end`, and let go. */
    void (*finish)(struct thread *thread, struct context *context);
    /* The same of a run whose end is written (trace.h); NULL: the observer is told of every run. */
    void (*finished)(struct thread *thread, struct context *context);
    /* Its last reference is gone. */
    void (*free)(struct context *context);
    /* A repeating callback goes on from `next` instead, whose reference is taken over. */
    struct context *(*succeed)(const struct context *context, struct context *next);
    /* Where a context was handed over, if its stack is kept, else 0; says what that stack is. */
    uint32_t (*node)(const struct context *context);
    void (*tell)(uint32_t node);
};

extern const struct observer *observer __attribute__((visibility("hidden")));

/* After context_init and before any capture: the guard goes up. */
void observer_set(const struct observer *table);
/* Only a trace is wanted, and of a hooked call only what and where: hooks may write both to hook_call themselves. */
extern bool observer_traces __attribute__((visibility("hidden")));
/* Of the watched copies that this process makes; another number in a forked child. */
extern uint32_t observer_generation __attribute__((visibility("hidden")));
static inline uint32_t observer_flags(void)
{
    return CONTEXT_WATCHED | CONTEXT_ONCE | observer_generation << CONTEXT_WATCHED_SHIFT;
}

/* Bytes of a watched copy, and where in it the context is. */
size_t observer_copy_size(void);
struct context *observer_copy_at(void *memory);
/* Makes `copy` a watched copy of `context`, whose reference it takes over. */
void observer_fill(struct context *copy, struct context *context, struct handoff *handoff);
/* Marks a context that nobody else has. */
void observer_tag(struct context *context, struct handoff *handoff);

/* From the start of a watched copy to whose it is. */
extern size_t observer_place_at __attribute__((visibility("hidden")));

static inline struct handoff **observer_place(const struct context *copy)
{
    return (struct handoff **)(void *)((char *)(uintptr_t)copy + observer_place_at);
}

/* Nothing but the watcher keeps the fast paths from holding. */
static inline bool guard_is_for_observer(void)
{
    return atomic_load_explicit(&context_guard, memory_order_relaxed) == GUARD_OBSERVED;
}

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

#pragma GCC visibility pop

#endif
