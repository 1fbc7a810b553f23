/*
 * Snapshots that their thread changes: see draft.h.
 *
 * Where nobody else has a reference the snapshot itself is written to: tests/unit/test_model_contexts.c sees that nobody
 * finds another value in what was handed to him.
 *
 * Rules: a signal handler may take a reference to a snapshot (context_capture_signal), not to a draft, nor to one that
 * is_begun, which is said before it is known that nobody else has it. A handler may set keys: what begins is not
 * found by it (is_torn), and what is handed out is no draft only when its references are counted.
 */
#include "context/draft.h"

#include "context/pool/blocks.h"
#include "context/slot_counts.h"
#include "context/thread.h"
#include "context/variables.h"
#include "slots/words.h"
#include "slots/keys.h"

/* Nothing that a draft may be of is kept in a list (context_alloc). */
static inline __attribute__((always_inline)) struct context *copy(struct thread *thread,
                                                                  struct context *snapshot)
{
    int32_t snapshot_refs = thread->snapshot.stale_refs;
    char *memory = blocks_alloc(thread);
    struct context *draft;

    if (unlikely(!memory)) {
        context_drop_snapshot(thread);
        return NULL;
    }
    draft = (struct context *)(void *)(memory + context_before);
    context_copy_values(draft, snapshot);
    if (unlikely(draft->vars))
        vars_ref(draft->vars);
    atomic_store_explicit(&draft->refs, REFS_BATCH + 1, memory_order_relaxed);
    flush_begin(thread);
    context_note_made(thread);
    thread->snapshot.context = draft;
    thread->snapshot.stale_refs = thread->snapshot.from = REFS_BATCH;
    context_put(snapshot, snapshot_refs + 1);
    flush_end(thread);
    return draft;
}

static inline __attribute__((always_inline)) struct context *make_draft(struct thread *thread)
{
    struct context *snapshot = thread->snapshot.context;

    if (unlikely(slot_counts_on))
        slot_counts_tell_snapshot(thread);
    thread->snapshot.has_news = (snapshot->flags & CONTEXT_EMPTY) != 0; /* it may be no more */
    if (likely(thread->snapshot.refs > 0)) /* less: in a handler, see context_take_one */
        thread->snapshot.stale_refs += thread->snapshot.refs;
    thread->snapshot.refs = 0;
    atomic_signal_fence(memory_order_seq_cst);
    return atomic_load_explicit(&snapshot->refs, memory_order_acquire) ==
                   thread->snapshot.stale_refs + 1
               ? snapshot
               : copy(thread, snapshot);
}

struct context *draft_begin(struct thread *thread)
{
    return make_draft(thread);
}

/* Where a handler that sets keys has come in between, nothing is known of them. */
static inline __attribute__((always_inline)) void draft_write(struct thread *thread,
                                                              unsigned key_index, void *value)
{
    struct context *draft = thread->snapshot.draft;

    if (draft == NO_DRAFT && !(draft = make_draft(thread)))
        return;
    if (value && !atomic_load_explicit(&keys_had_value[key_index], memory_order_relaxed))
        thread->snapshot.has_news = true;
    draft->key[key_index] = value;
    atomic_signal_fence(memory_order_seq_cst);
    thread->snapshot.draft = draft;
}

static inline __attribute__((always_inline)) void note_set(struct thread *thread,
                                                           unsigned key_index, void *value)
{
    struct context *snapshot = thread->snapshot.context;

    if (unlikely(thread->snapshot.is_begun)) {
        thread->snapshot.is_torn = true;
        return;
    }
    if (!draft_may_be(snapshot) || key_bindings[key_index].destructor) {
        context_drop_snapshot(thread);
        return;
    }
    thread->snapshot.is_begun = true;
    atomic_signal_fence(memory_order_seq_cst);
    draft_write(thread, key_index, value);
    atomic_signal_fence(memory_order_seq_cst);
    thread->snapshot.is_begun = false;
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(thread->snapshot.is_torn)) {
        thread->snapshot.is_torn = false;
        context_drop_snapshot(thread);
    }
}

void draft_note(struct thread *thread, unsigned key_index, void *value)
{
    note_set(thread, key_index, value);
}

int draft_set_key(unsigned key, const void *value, int (*real)(unsigned, const void *),
                  size_t number, struct thread *thread)
{
    unsigned key_index = (unsigned)number - 1;
    int error = real(key, value);
    const struct context *snapshot = thread->snapshot.context;

    if (error == 0 && snapshot && snapshot->key[key_index] != value)
        note_set(thread, key_index, (void *)(uintptr_t)value);
    return error;
}

void draft_settle(struct thread *thread)
{
    struct context *draft = thread->snapshot.draft;
    bool is_set = draft->vars != NULL;

    if (thread->snapshot.has_news) {
        for (unsigned key_index = 0; key_index < slots_key_count; key_index++)
            key_note_value(key_index, draft->key[key_index]);
    }
    if (slots_have_copied) {
        is_set |= words_read(context_copied(draft), slots_initial);
        if (unlikely(atomic_load_explicit(&slots_words_unseen, memory_order_relaxed)))
            slots_note_words(context_copied(draft));
    }
    for (unsigned key_index = 0; !is_set && key_index < slots_key_count; key_index++) {
        is_set = draft->key[key_index] != NULL;
        thread->snapshot.witness = (uint16_t)key_index;
    }
    draft->flags = is_set ? 0 : CONTEXT_EMPTY;
    thread->snapshot.tally = is_set ? thread->counts.carried : thread->counts.empty;
}

struct context *draft_end(struct thread *thread)
{
    struct context *draft = thread->snapshot.draft;

    draft_settle(thread);
    thread->snapshot.refs = thread->snapshot.stale_refs; /* `from` is both together already */
    thread->snapshot.stale_refs = 0;
    atomic_signal_fence(memory_order_seq_cst);
    thread->snapshot.draft = NO_DRAFT;
    return draft;
}
