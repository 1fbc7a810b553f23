/*
 * Attaching and leaving where values of keys are lent (slots/policy.h) and nothing else is in the way: no scope
 * entry, because nothing was attached, and one overlay that serves again and again. In line in scope_any.c.
 *
 * Rules: what cannot be done so has changed nothing. An overlay that is left here holds nothing that was lent, and
 * nothing is set in it: it waits as the thread's spare one, and its flags say so (those of others are 0). Policy
 * functions are foreign code: they may set a key, hand work over, or attach.
 */
#ifndef BATON_CONTEXT_LENDING_H
#define BATON_CONTEXT_LENDING_H

#include "context/dangling.h"
#include "context/internal.h"
#include "slots/origin.h"
#include "slots/policy.h"

/* The attach that is innermost lends, and its task has set nothing, nor handed anything over. */
static inline bool lending_is_untouched(const struct thread *thread, const struct context *own)
{
    return (own->flags & ~(uint32_t)CONTEXT_READ) == CONTEXT_OVERLAY && !thread->runs &&
           !thread->spare_overlay;
}

static inline bool lending_enter(struct thread *thread, struct context *context,
                                 uintptr_t frame_mark)
{
    struct context *own = thread->spare_overlay;
    void **borrowed;

    if (unlikely(!own || context->vars || thread->attached || frame_mark & FRAME_THREAD ||
                 !guard_allows_short_ways() ||
                 context->epoch != atomic_load_explicit(&slots_epoch, memory_order_acquire) ||
                 context->flags & (CONTEXT_EMPTY | CONTEXT_WATCHED | CONTEXT_TAGGED) ||
                 origins_on || dangling_on))
        return false;
    thread->spare_overlay = NULL;
    if (unlikely(own->flags != CONTEXT_OVERLAY))
        overlay_clean(own);
    context_overlay_part(own)->vars_id = 0;
    own->epoch = context->epoch;
    own->hops = context->hops;
    own->born_ms = context->born_ms;
    own->base = context;
    borrowed = context_borrowed(own);
    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        void *value = context->key[key_index];

        if (value && context_key_is_owned(key_index))
            value = borrowed[key_index] = policy_lend(context_key_slot(key_index), value);
        own->key[key_index] = value;
    }
    thread->frame_mark = frame_mark | FRAME_SLOW;
    SCOPE_ATTACH(thread, own);
    return true;
}

/* Takes back all that it lent. */
static inline void lending_take_back(struct context *own)
{
    void **borrowed = context_borrowed(own);

    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        void *lent = borrowed[key_index];

        if (!lent)
            continue;
        own->key[key_index] = borrowed[key_index] = NULL;
        policy_take_back(context_key_slot(key_index), lent);
    }
}

static inline bool lending_leave(struct thread *thread, uintptr_t sp)
{
    uintptr_t frame_mark = thread->frame_mark;
    struct context *own = thread->attached;

    if (unlikely(thread->depth || (frame_mark & ~(uintptr_t)FRAME_OWNED) != (sp | FRAME_SLOW) ||
                 !thread_is_attached(thread) || !lending_is_untouched(thread, own) ||
                 own->base->flags & (CONTEXT_WATCHED | CONTEXT_TAGGED) || origins_on))
        return false;
    lending_take_back(own);
    /* A function of the program's that took a value back has set something, or handed over. */
    if (unlikely(thread->attached != own || !lending_is_untouched(thread, own)))
        return false;
    own->flags = CONTEXT_OVERLAY;
    thread->attached = NULL;
    thread->frame_mark = 0;
    thread->spare_overlay = own;
    if (frame_mark & FRAME_OWNED)
        context_release_on(thread, own->base);
    return true;
}

#endif
