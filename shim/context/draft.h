/*
 * A thread's snapshot while the thread changes what it is a snapshot of.
 *
 * A program that serves requests sets its values and hands over, again and again. The first set after a capture makes
 * the snapshot a draft: its own memory where nobody else has it any more, else a copy. The further ones
 * are stores into it (set_carried, fast.h), and the next capture hands it out as it is.
 */
#ifndef BATON_CONTEXT_DRAFT_H
#define BATON_CONTEXT_DRAFT_H

#include "context/coroutine.h"
#include "context/internal.h"
#include "slots/slots.h"

/* May the thread's snapshot become one? Not where a context has more to do with a value than to keep its address
 * or bytes. */
static inline bool draft_may_be(const struct context *snapshot)
{
    return (!slots_have_copied || guard_is_for_words()) && !slots_always_build &&
           !slots_have_owned_keys && !(snapshot->flags & CONTEXT_COUNTED);
}

/*
 * Of the thread's snapshot, whose references are all stale ones from now on: what is to become its draft. NULL: no memory;
 * the snapshot is gone then.
 */
struct context *draft_begin(struct thread *thread);

/* The thread, which has nothing attached, sets a key, where nobody else wants to know: as context_set_number. */
int draft_set_key(unsigned key, const void *value, int (*real)(unsigned, const void *),
                  size_t number, struct thread *thread);
/* The thread, which has a snapshot with another value of this key index, has set it, and the C library has it. */
void draft_note(struct thread *thread, unsigned key_index, void *value);

/* What it has become: empty, or one that has the first value of a key. */
void draft_settle(struct thread *thread);

/* It is right again; its references are to be handed out, if there are any. */
struct context *draft_end(struct thread *thread);

/* May it be handed out, by what is no more than a comparison. */
static inline __attribute__((always_inline)) bool draft_may_go(const struct thread *thread,
                                                               const struct context *draft)
{
    return likely(draft != NO_DRAFT && thread_is_plain(thread) && thread->snapshot.stale_refs > 0 &&
                  !slots_have_copied &&
                  draft->epoch == atomic_load_explicit(&slots_epoch, memory_order_relaxed) &&
                  coroutine_is_main_stack(thread));
}

static inline __attribute__((always_inline)) bool draft_is_settled(const struct thread *thread,
                                                                   const struct context *draft)
{
    return likely(!thread->snapshot.has_news && draft->key[thread->snapshot.witness]);
}

static inline __attribute__((always_inline)) struct context *
draft_hand_out(struct thread *thread, struct context *draft, unsigned family)
{
    thread->snapshot.refs = thread->snapshot.stale_refs - 1;
    thread->snapshot.stale_refs = 0;
    atomic_signal_fence(memory_order_seq_cst);
    thread->snapshot.draft = NO_DRAFT;
    thread->snapshot.tally[family]++;
    return draft;
}

/* context_capture of a thread whose snapshot is one, where that takes no more than to end it. */
static inline struct context *draft_take(struct thread *thread, unsigned family)
{
    struct context *draft = thread->snapshot.draft;

    if (!draft_may_go(thread, draft))
        return NULL;
    if (!draft_is_settled(thread, draft))
        draft_settle(thread);
    return draft_hand_out(thread, draft, family);
}

/* The same without a call: NULL also where one is needed. */
static inline __attribute__((always_inline)) struct context *draft_try(struct thread *thread,
                                                                       unsigned family)
{
    struct context *draft = thread->snapshot.draft;

    if (unlikely(!draft_may_go(thread, draft) || !draft_is_settled(thread, draft)))
        return NULL;
    return draft_hand_out(thread, draft, family);
}

#endif
