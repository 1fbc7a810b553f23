/*
 * What waits for the callback of a uv_async_t: the context of the last send.
 *
 * A send is two steps for the loop, the exchange here and libuv's own: the callback of an earlier send may come
 * between them, and takes the newer context. So a context stays for the callback that its own send causes: the first
 * callback leaves a reference marked SENT_SEEN, the second takes it away; more cannot come of one send.
 *
 * A signal handler does what atomic operations can do: what it replaces waits in `replaced` to be released by the
 * callback; where that is not enough, SENT_BARE says that the last send has none.
 *
 * Claims, shown by tests/unit/test_model_sent.c over all interleavings of two threads' sends, a handler's and the
 * loop's callbacks: every reference is let go once, none is used after; the last callback has the context of the last
 * exchange; a send that returned before a callback began is not taken by an older callback alone; two callbacks after the last
 * send, or the handle's end, leave nothing.
 */
#ifndef BATON_FAMILIES_LIBUV_SENT_H
#define BATON_FAMILIES_LIBUV_SENT_H

#include <stddef.h>
#include <stdint.h>

#include "context/context.h"

/* In the low bits of the waiting context. */
enum { SENT_SEEN = 1, SENT_BARE = 2, SENT_FLAGS = 3 };

static inline struct context *sent_context(void *sent)
{
    return (struct context *)((uintptr_t)sent & ~(uintptr_t)SENT_FLAGS);
}

static inline void *sent_as(struct context *context, unsigned flags)
{
    return (void *)((uintptr_t)context | flags);
}

/* The last send has none. Also by a signal handler. */
static inline void sent_put_none(void **sent)
{
    __atomic_fetch_or((uintptr_t *)(void *)sent, SENT_BARE, __ATOMIC_ACQ_REL);
}

/* Takes over a reference of the context. */
static inline void sent_put(void **sent, struct context *context)
{
    struct context *old =
        sent_context(__atomic_exchange_n(sent, sent_as(context, 0), __ATOMIC_ACQ_REL));

    if (old)
        context_release(old);
}

/* The same by a signal handler, which can let nothing go. False: there is no room for what would be replaced; the
 * reference stays the caller's. */
static inline bool sent_put_by_handler(void **sent, struct context **replaced,
                                       struct context *context)
{
    struct context *none = NULL, *old;

    if (__atomic_load_n(replaced, __ATOMIC_ACQUIRE))
        return false;
    old = sent_context(__atomic_exchange_n(sent, sent_as(context, 0), __ATOMIC_ACQ_REL));
    /* Taken by another handler's at this very moment: the one we cannot keep is lost, not freed twice. */
    if (old)
        __atomic_compare_exchange_n(replaced, &none, old, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_RELAXED);
    return true;
}

/* What a signal handler has replaced. */
static inline void sent_release_replaced(struct context **replaced)
{
    struct context *old;

    if (likely(!__atomic_load_n(replaced, __ATOMIC_RELAXED)))
        return;
    old = __atomic_exchange_n(replaced, NULL, __ATOMIC_ACQ_REL);
    if (old)
        context_release(old);
}

/* The context for the callback that begins, one reference; NULL: none. */
static inline struct context *sent_take(void **sent, struct context **replaced)
{
    void *taken = __atomic_exchange_n(sent, NULL, __ATOMIC_ACQ_REL), *none = NULL;
    struct context *context = sent_context(taken);

    sent_release_replaced(replaced);
    if (!context)
        return NULL;
    if ((uintptr_t)taken & SENT_BARE) {
        context_release(context);
        return NULL;
    }
    if (!((uintptr_t)taken & SENT_SEEN)) {
        context_ref(context);
        if (!__atomic_compare_exchange_n(sent, &none, sent_as(context, SENT_SEEN), false,
                                         __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
            context_release(context); /* somebody has sent again */
    }
    return context;
}

/* No callback will come. */
static inline void sent_end(void **sent, struct context **replaced)
{
    struct context *context = sent_context(__atomic_exchange_n(sent, NULL, __ATOMIC_ACQ_REL));

    sent_release_replaced(replaced);
    if (context)
        context_release(context);
}

#endif
