/*
 * Attaching and leaving where values of keys are lent (slots/policy.h) and nothing else is in the way: no scope
 * entry, because nothing was attached, and one overlay that serves again and again (thread.lending). In line in
 * scope_any.c.
 *
 * Copies of bytes that a task leaves in its slot stay with that overlay: the next task is lent the same one, where its
 * context's value has the same bytes. What the program's functions make goes at once.
 *
 * Rules: what cannot be done so has changed nothing. While the overlay waits, all that its borrowed values are is such
 * copies, nothing is set in it, and its flags are CONTEXT_OVERLAY. Policy functions are foreign code: they may set a
 * key, hand work over, or attach; or leave by throw, jump, or with the thread: so the attach is there before the first of
 * them is called, and is left like one whose task does so.
 */
#ifndef BATON_CONTEXT_LENDING_H
#define BATON_CONTEXT_LENDING_H

#include "context/dangling.h"
#include "context/internal.h"
#include "context/slot_counts.h"
#include "slots/origin.h"
#include "slots/policy.h"

/* The attach that is innermost lends, and its task has set nothing, nor handed anything over. */
static inline bool lending_is_untouched(const struct thread *thread, const struct context *own)
{
    return ((uintptr_t)thread->runs | (uintptr_t)thread->lending |
            ((own->flags & ~(uint32_t)CONTEXT_READ) ^ CONTEXT_OVERLAY)) == 0;
}

/* The thread's first, out of one that the other way has left. */
static inline struct context *lending_begin(struct thread *thread)
{
    struct context *own = thread->spare_overlay;

    if (own) {
        thread->spare_overlay = NULL;
        overlay_clean(own);
        thread->lending = own;
    }
    return own;
}

/* Nobody else has the context, nor will: what it holds may be lent itself, and is then no more the context's. */
static inline bool lending_is_last(const struct context *context, uintptr_t frame_mark)
{
    return frame_mark & FRAME_OWNED &&
           atomic_load_explicit(&context->refs, memory_order_acquire) == 1;
}

static inline void *lending_lend_one(const struct policy_held *held, struct context *context,
                                     void *kept, uintptr_t frame_mark)
{
    void *owned = context->key[held->key_index];

    if (held->policy == POLICY_CLONE && lending_is_last(context, frame_mark)) {
        context->key[held->key_index] = NULL;
        if (unlikely(slot_counts_on) && owned)
            slot_counts_moved(thread_self, held->slot);
        return owned;
    }
    return policy_lend_again(held->slot, owned, kept);
}

static inline __attribute__((always_inline)) void lending_lend(enum policies_mix mix,
                                                               struct context *context,
                                                               struct context *own,
                                                               uintptr_t frame_mark)
{
    for (const struct policy_held *held = policies_held; held->slot; held++) {
        size_t key_index = held->key_index;
        void *value = context->key[key_index];

        if (mix == POLICIES_COPIES)
            value = policy_lend_copy(held->slot, value, context_borrowed(own)[key_index]);
        else if (mix != POLICIES_REFS && held->policy != POLICY_REF)
            value = lending_lend_one(held, context, context_borrowed(own)[key_index], frame_mark);
        else if (value)
            policy_call(held->slot->policy_function[0], value);
        own->key[key_index] = context_borrowed(own)[key_index] = value;
    }
}

/* Keys that are not held. */
static inline void lending_copy_others(const struct context *context, struct context *own)
{
    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        if (!context_key_is_owned(key_index))
            own->key[key_index] = context->key[key_index];
    }
}

/* mix: of what is held (policies_mix). */
static inline __attribute__((always_inline)) bool lending_enter(enum policies_mix mix,
                                                                struct thread *thread,
                                                                struct context *context,
                                                                uintptr_t frame_mark)
{
    struct context *own = thread->lending;

    if (unlikely(((uintptr_t)thread->attached | (uintptr_t)context->vars |
                  (frame_mark & FRAME_THREAD) |
                  (context->flags & (CONTEXT_EMPTY | CONTEXT_WATCHED | CONTEXT_TAGGED))) != 0 ||
                 !guard_allows_short_ways() ||
                 context->epoch != atomic_load_explicit(&slots_epoch, memory_order_acquire) ||
                 (!own && !(own = lending_begin(thread)))))
        return false;
    thread->lending = NULL;
    context_overlay_part(own)->vars_id = 0;
    own->epoch = context->epoch;
    own->hops = context->hops;
    own->born_ms = context->born_ms;
    own->base = context;
    if (unlikely(policies_held_count != slots_key_count))
        lending_copy_others(context, own);
    thread->frame_mark = frame_mark | FRAME_SLOW;
    SCOPE_ATTACH(thread, own);
    lending_lend(mix, context, own, frame_mark);
    if (unlikely(thread->attached != own)) /* what those functions have attached, and left */
        scope_leave_slow(thread, (frame_mark & ~(uintptr_t)FRAME_FLAGS) - 1);
    return true;
}

/* Takes back what it lent, but for the copies that it keeps. True: functions of the program's were called. */
static inline __attribute__((always_inline)) bool lending_take_back(enum policies_mix mix,
                                                                    struct context *own)
{
    bool has_called = false;

    for (const struct policy_held *held = policies_held; held->slot; held++) {
        size_t key_index = held->key_index;
        void *lent = context_borrowed(own)[key_index];

        if (!lent || (mix != POLICIES_REFS && policy_may_keep(held->policy)))
            continue;
        own->key[key_index] = context_borrowed(own)[key_index] = NULL;
        if (mix == POLICIES_REFS || held->policy == POLICY_REF || held->policy == POLICY_CLONE)
            policy_call(held->slot->policy_function[1], lent);
        else
            policy_take_back(held->slot, lent);
        has_called = true;
    }
    return has_called;
}

static inline __attribute__((always_inline)) bool lending_leave(enum policies_mix mix,
                                                                struct thread *thread, uintptr_t sp)
{
    struct context *own = thread->attached;
    uintptr_t is_owned;

    if (unlikely((thread->depth |
                  ((thread->frame_mark & ~(uintptr_t)FRAME_OWNED) ^ (sp | FRAME_SLOW))) != 0 ||
                 !thread_is_attached(thread) || !lending_is_untouched(thread, own) ||
                 own->base->flags & (CONTEXT_WATCHED | CONTEXT_TAGGED)))
        return false;
    /* A function of the program's that took a value back has set something, or handed over. */
    if (mix != POLICIES_COPIES && lending_take_back(mix, own) &&
        unlikely(thread->attached != own || !lending_is_untouched(thread, own)))
        return false;
    is_owned = thread->frame_mark & FRAME_OWNED;
    own->flags = CONTEXT_OVERLAY;
    thread->attached = NULL;
    thread->frame_mark = 0;
    thread->lending = own;
    if (is_owned)
        context_release_on(thread, own->base);
    return true;
}

#endif
