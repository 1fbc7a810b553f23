/*
 * What the short ways behind the thunks do where plain words are carried, and nothing else is copied. What cannot be done here
 * has changed nothing; no register is touched that the thunks have not saved.
 */
#ifndef BATON_USERHOOKS_KINDS_WORDS_H
#define BATON_USERHOOKS_KINDS_WORDS_H

#include "families/handoff.h"
#include "slots/words.h"
#include "userhooks/kinds.h"

static inline bool words_are_all(void)
{
    return THUNK_WORDS && atomic_load_explicit(&context_words_guard, memory_order_relaxed) == 0;
}

/* context_take_words. */
static inline struct context *take_words(struct thread *thread)
{
    struct context *snapshot = thread->snapshot.context;

    if (!words_are_all() || thread->attached || thread->snapshot.refs <= 0 ||
        !thunk_words_same(snapshot, NULL) || !context_take_one(thread))
        return NULL;
    thread->snapshot.tally[FAMILY_NAMED]++;
    return snapshot;
}

/* On top of nothing or of an attach that is not stale, where there is room. */
static inline bool may_nest_words(const struct thread *thread, uintptr_t frame_mark)
{
    return words_are_all() && thread->attached != ATTACHED_UNKNOWN && !thread->moving &&
           (!thread->attached || thread->frame_mark > frame_mark) &&
           thread->depth < thread->entries_max &&
           thread->saved_used + slots_saved_bytes <= thread->saved_max;
}

/* scope_enter_slow there. */
static inline bool nest_words(struct thread *thread, struct context *context, uintptr_t frame_mark)
{
    size_t saved_at = thread->saved_used;
    struct scope_entry *entry;

    if (!may_nest_words(thread, frame_mark))
        return false;
    thread->saved_used = saved_at + slots_saved_bytes;
    entry = &thread->entries[thread->depth++];
    *entry = (struct scope_entry){thread->attached, thread->frame_mark, saved_at,
                                  atomic_load_explicit(&slots_epoch, memory_order_acquire)};
    thread->attached = context;
    thread->frame_mark = frame_mark | FRAME_SLOW;
    atomic_signal_fence(memory_order_seq_cst);
    thunk_words_attach(context, thread->saved + saved_at + words_bytes);
    return true;
}

/* scope_pop of such a one, which is innermost. */
static inline bool unnest_words(struct thread *thread, struct context *context,
                                uintptr_t frame_mark)
{
    const struct scope_entry *entry = &thread->entries[thread->depth - 1];

    if (!words_are_all() || !thread->depth || thread->moving ||
        thread->frame_mark != (frame_mark | FRAME_SLOW) || entry->saved_at >= SAVED_PUT_BACK ||
        entry->saved_at + slots_saved_bytes != thread->saved_used ||
        context->flags & (CONTEXT_OVERLAY | CONTEXT_WATCHED | CONTEXT_TAGGED))
        return false;
    thunk_words_detach(NULL, thread->saved + entry->saved_at + words_bytes);
    atomic_signal_fence(memory_order_seq_cst);
    thread->saved_used = entry->saved_at;
    thread->attached = entry->attached;
    thread->frame_mark = entry->frame_mark;
    thread->depth--;
    return true;
}

/* context_capture where it need call nobody: of a thread that has nothing attached, or has inherited what is. */
static inline struct context *kinds_take(struct thread *thread)
{
    if (thread->attached)
        return context_try_batch(thread, FAMILY_NAMED);
    return thread_is_plain(thread) ? context_take_bought(thread, FAMILY_NAMED) : take_words(thread);
}

/* What take gave. A handler that has set a key since has another snapshot, which has none to hand out. */
static inline void kinds_give_back(struct thread *thread, struct context *context)
{
    if (thread->attached) {
        thread->counts.carried[FAMILY_NAMED]--;
        thread->batch.refs++;
        return;
    }
    thread->snapshot.tally[FAMILY_NAMED]--;
    thread->snapshot.refs++;
    atomic_signal_fence(memory_order_seq_cst);
    if (likely(thread->snapshot.context == context && !snapshot_is_draft(&thread->snapshot)))
        return;
    if (thread->snapshot.refs) { /* else it came after that, and has it */
        thread->snapshot.refs = 0;
        atomic_fetch_sub_explicit(&context->refs, 1, memory_order_release);
    }
}

/* May kinds_enter be asked with is_slow false? */
static inline bool kinds_enter_is_fast(const struct thread *thread, const struct wrap *wrap)
{
    return kinds_attach_is_fast(thread, wrap) ||
           may_nest_words(thread, wrap_place(wrap) | FRAME_OWNED);
}

#endif
