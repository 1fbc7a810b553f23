/*
 * Between the files of this room: the private overlay of a task that set a carried key.
 *
 * It is a copy of the attached context that only the attached thread sees. It lives from the first
 * set until the attach is left; `base` is the context that was attached, whose reference (if the
 * attach owns one) stays with the attach.
 */
#ifndef BATON_CONTEXT_INTERNAL_H
#define BATON_CONTEXT_INTERNAL_H

#include "context/scope.h"
#include "slots/keys.h"
#include "slots/slots.h"

#pragma GCC visibility push(hidden)

struct overlay_part;
/* Set once, by context_make_empty: from a context on; what an overlay's bits take. */
extern size_t context_bytes __attribute__((visibility("hidden")));
extern unsigned context_bits __attribute__((visibility("hidden")));
/* Of an overlay: so many words behind its keys begins what was borrowed (context_borrowed). */
extern unsigned context_borrowed_at __attribute__((visibility("hidden")));

static inline struct overlay_part *context_overlay_part(const struct context *context)
{
    return (struct overlay_part *)(void *)((char *)(uintptr_t)context + context_bytes);
}

/* Memory for a context and its copied values, with whatever was there; NULL: none. */
struct context *context_alloc(bool is_overlay);
void context_give_back(struct context *context, bool is_overlay);
/* All but the count of references, which other threads are changing. */
void context_copy_values(struct context *to, const struct context *from);
size_t overlay_size(void);
/* From the slots: how large contexts are, and the empty one. False: no memory. */
bool context_make_empty(void);

/* One more context is alive; one less. */
static inline void context_note_made(struct thread *thread)
{
    if (likely(thread != &thread_unknown))
        thread->contexts.made++;
    else
        atomic_fetch_add_explicit(&context_alive, 1, memory_order_relaxed);
}

static inline void context_note_gone(struct thread *thread)
{
    if (likely(thread != &thread_unknown))
        thread->contexts.gone++;
    else
        atomic_fetch_sub_explicit(&context_alive, 1, memory_order_relaxed);
}

/* Lets `count` references go at once. */
static inline void context_put(struct context *context, int64_t count)
{
    if (atomic_fetch_sub_explicit(&context->refs, count, memory_order_acq_rel) == count)
        context_free(context);
}

/*
 * Around a cache that is let go of. In between the thread no longer shows references that the counter
 * still has: a thread that counts contexts waits for the end.
 */
static inline void flush_begin(struct thread *thread)
{
    uint32_t begun = atomic_load_explicit(&thread->flushes.begun, memory_order_relaxed);

    atomic_store_explicit(&thread->flushes.begun, begun + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static inline void flush_end(struct thread *thread)
{
    uint32_t done = atomic_load_explicit(&thread->flushes.done, memory_order_relaxed);

    atomic_store_explicit(&thread->flushes.done, done + 1, memory_order_release);
}

/* ---- capture.c, keys.c: at the start ---- */

void capture_set_limits(uint32_t max_age_ms, uint32_t max_hops);
/* Of the ways to capture, and to attach, where the few instructions in line do not hold: which to try first. Once all that
 * they depend on is known. */
void capture_choose(void);
void scope_choose(void);
void keys_begin(void); /* fills in slots_calls */

/* ---- snapshot.c ---- */

extern _Atomic uint32_t contexts_built; /* not 0 once there was a context */
enum { REFS_BATCH = 4096 };             /* references taken at once for a thread's snapshot */
/* Makes it the thread's, which has REFS_BATCH references and the cache's own. */
void context_keep_snapshot(struct thread *thread, struct context *snapshot);
/* The same of held keys, whose values' bytes may have changed. */
bool context_keys_same(const struct thread *thread, const struct context *context);
/* A context of what the calling thread sees now, with `refs` references; NULL: no memory. */
struct context *context_build(struct thread *thread, int64_t refs);
/* One reference to what an attached thread's task sees, to what a thread sees on its own. NULL: no memory. */
struct context *context_of_task(struct thread *thread);
struct context *context_of_thread(struct thread *thread);
/* Takes a batch of references for a thread that has inherited `context`, where that may be. */
void context_fill_batch(struct thread *thread, struct context *context);

struct overlay_part {
    struct context *task_snapshot; /* what the task captured since its last set; one reference */
    uint64_t vars_id;              /* identity of its variables (variables.h), 0: none yet */
    uint64_t set
        []; /* a bit a key index: the task has set it, unless its overlay was open then; then, where slots_have_owned_keys, a bit
                       a key index: void; then the borrowed values of held key indexes */
};

/* What the task borrowed in each key index (policy.h); only where slots_have_owned_keys. */
static inline void **context_borrowed(const struct context *own)
{
    return (void **)(uintptr_t)own->key + context_borrowed_at;
}

/* The key index's key was made again when the task still had what it borrowed: it is baton's to end. */
static inline uint64_t *context_void(const struct context *own)
{
    return context_overlay_part(own)->set + (slots_key_count + 63) / 64;
}

static inline const struct slot *context_key_slot(unsigned key_index)
{
    return key_bindings[key_index].slot;
}

static inline bool context_key_is_owned(unsigned key_index)
{
    return key_bindings[key_index].is_owned;
}

/* What is in the way of the fast path is copied slots and held keys, and nothing else. */
static inline bool guard_allows_short_ways(void)
{
    return !(atomic_load_explicit(&context_guard, memory_order_acquire) &
             ~(uintptr_t)(GUARD_COPIED | GUARD_EPOCH));
}

/* A private copy of an attached context, its held keys empty; NULL: no memory. Freed by overlay_free. */
struct context *overlay_new(struct context *base);
/* Lends them, once it is attached: functions of the program's are called, which may leave. */
void overlay_lend(struct context *own);
void overlay_free(struct context *own);
/* Makes one that is free, and is like no context, an empty one. */
void overlay_clean(struct context *own);

static inline bool context_holds_counted(const struct context *context, unsigned key_index)
{
    const struct key_binding *binding = &key_bindings[key_index];

    return context->key[key_index] && binding->destructor && context->epoch >= binding->since &&
           !context_key_is_owned(key_index);
}

/* Something that waits may be found now: from then on GUARD_STALE is set; looks for what waits. */
void guard_note_stale(void);
void context_look_again(void);

/* A context of what the thread sees now, one reference; not counted as a capture. NULL: no memory. */
struct context *context_visible(struct thread *thread);

/* Some carried key has a destructor, or had. */
static inline bool scope_may_destroy(void)
{
    for (unsigned i = 0; i < (slots_key_count + 63) / 64; i++) {
        if (atomic_load_explicit(&keys_destroyed[i], memory_order_relaxed))
            return true;
    }
    return false;
}

/* Makes the attached context one that may be written to. False: no memory. */
bool overlay_make(struct thread *thread);
/* Takes back what was borrowed through the overlay and the slots still hold (rule 19); is_thread: the thread ends. */
void overlay_reclaim(struct context *own, bool is_thread);
/* What the task captured is not what it sees any more. */
void context_drop_task_snapshot(struct context *own);

/*
 * Reads what an attach of `context` replaces to the end of thread.saved, which grows by it; writes what it brings; puts
 * back what begins at saved_at. Getters and setters
 * are foreign code: they may attach, in what room there is, and they may leave by throw, jump, or with the thread.
 * Then the attach is not made: the reference `owned` and the overlay `own`, each of which may be NULL, go.
 */
enum { SAVED_ENTRIES = 4 }; /* there is room for, where an attach begins */
void scope_save(struct thread *thread, struct context *owned, struct context *own, uint32_t epoch);
void scope_write(struct thread *thread, struct context *context, size_t saved_at, uint32_t epoch);
void scope_put_back(struct thread *thread, size_t saved_at, const void *borrowed, uint32_t epoch);
/*
 * The same by the table of moves: the whole attach, with a scope entry, where there is room for it and the thread is in none
 * of these; and the leaving of such a one that is innermost. False: it is for scope_enter_slow (a getter may have left
 * an attach behind), for scope_leave_slow.
 */
bool scope_move_in(struct thread *thread, struct context *context, uintptr_t frame_mark);
bool scope_move_out(struct thread *thread, uintptr_t sp);
/*
 * Puts back what the innermost attach, of `context`, which has no scope entry, has in front of the thread's block; the thread
 * has nothing attached then. Left: its reference and its overlay `own` (may be NULL) go.
 */
void scope_put_back_front(struct thread *thread, struct context *context, struct context *own);
/*
 * scope_entry.saved_at while it is put back: what a setter finds attached is left by who called the setter, and by nobody
 * else, and if the setter is left, not put back again.
 */
#define SAVED_PUT_BACK (SIZE_MAX - 1)
/* One of them was left: nothing of it stays. */
void scope_abandon(struct thread *thread);
/*
 * Leaves the attaches whose saved values lie above: of a getter that left one behind (it adopts), while there is room
 * for one entry.
 */
void scope_leave_above(struct thread *thread, size_t saved_used);

/* Attaches are made without a scope entry where they can be: what they replace is in thread_front. Of plain words
 * (fast.h), where nothing else is copied; by the table of moves (front.h). */
extern bool scope_has_front, scope_is_words_only;
/* Leaves the innermost attach. */
void scope_pop(struct thread *thread);

/* What is attached innermost is what a setter puts back, or did when it left. */
static inline bool scope_was_put_back(const struct thread *thread)
{
    return thread->depth && thread->entries[thread->depth - 1].saved_at == SAVED_PUT_BACK;
}

/* What is attached innermost is what a setter puts back that runs now. */
static inline bool scope_is_put_back(const struct thread *thread)
{
    return unlikely(thread->moving) && scope_was_put_back(thread) && arch_sp() < thread->moving;
}
int overlay_set_key(struct thread *thread, unsigned key, unsigned key_index, const void *value,
                    int (*real)(unsigned, const void *));

#pragma GCC visibility pop

#endif
