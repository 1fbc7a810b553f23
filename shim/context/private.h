/*
 * Between the files of this room: the private overlay of a task that set a carried key.
 *
 * It is a copy of the attached context that only the attached thread sees. It lives from the first
 * set until the attach is left; `base` is the context that was attached, whose reference (if the
 * attach owns one) stays with the attach.
 */
#ifndef BATON_CONTEXT_PRIVATE_H
#define BATON_CONTEXT_PRIVATE_H

#include "context/scope.h"
#include "slots/slots.h"

struct private_part;
struct private_part *context_private(const struct context *context);
/* Memory for a context and its copied values, with whatever was there; NULL: none. */
struct context *context_room(bool is_private);
void context_give_back(struct context *context, bool is_private);
/* All but the count of references, which other threads are changing. */
void context_copy_values(struct context *to, const struct context *from);
size_t context_private_size(void);

/* Lets `count` references go at once. */
static inline void context_put(struct context *context, int64_t count)
{
    if (atomic_fetch_sub_explicit(&context->refs, count, memory_order_acq_rel) == count)
        context_free(context);
}

/*
 * Around a cache that is let go of. In between the thread no longer shows references that the counter
 * still has: who counts contexts waits for the end.
 */
static inline void settle_begin(struct thread *thread)
{
    uint32_t begun = atomic_load_explicit(&thread->settles_begun, memory_order_relaxed);

    atomic_store_explicit(&thread->settles_begun, begun + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static inline void settle_end(struct thread *thread)
{
    uint32_t done = atomic_load_explicit(&thread->settles_done, memory_order_relaxed);

    atomic_store_explicit(&thread->settles_done, done + 1, memory_order_release);
}

/* ---- snapshot.c ---- */

extern _Atomic uint32_t contexts_built; /* not 0 once there was a context */
/* A context of what the calling thread sees now, with `refs` references; NULL: no memory. */
struct context *context_build(struct thread *thread, int64_t refs);
/* One reference to what an attached thread's task sees, to what a thread sees on its own. NULL: no memory. */
struct context *context_of_task(struct thread *thread);
struct context *context_of_thread(struct thread *thread);
/* Buys a batch of references for a thread that has inherited `context`, where that may be. */
void context_lend(struct thread *thread, struct context *context);
/* The thread has set the key of this column: its snapshot is not right about it any more. */
void context_changed(struct thread *thread, unsigned column);

struct private_part {
    struct context *frozen; /* what the task captured since its last set; one reference */
    uint64_t vars_id;       /* identity of its variables (vars.h), 0: none yet */
    uint64_t set[]; /* a bit a column: the task has set it; then, where slots_have_held_keys, a bit
                       a column: void; then the lent values of held columns */
};

static inline unsigned context_bits(void)
{
    return (slots_columns + 63) / 64 * (slots_have_held_keys ? 2 : 1);
}

/* What the task was lent in each column (policy.h); only where slots_have_held_keys. */
static inline void **context_lent(const struct context *own)
{
    return (void **)(void *)(context_private(own)->set + context_bits());
}

/* The column's key was made again when the task still had what it was lent: it is baton's to end. */
static inline uint64_t *context_void(const struct context *own)
{
    return context_private(own)->set + (slots_columns + 63) / 64;
}

static inline const struct slot *context_column_slot(unsigned column)
{
    return key_bindings[column].slot;
}

static inline bool context_column_is_held(unsigned column)
{
    return slots_have_held_keys && key_bindings[column].slot && key_bindings[column].slot->is_held;
}

/* A private copy of an attached context; NULL: no memory. Freed by context_private_free. */
struct context *context_private_new(struct context *base);
void context_private_free(struct context *own);

static inline bool context_holds_counted(const struct context *context, unsigned column)
{
    const struct key_binding *binding = &key_bindings[column];

    return context->key[column] && binding->destructor && context->epoch >= binding->since &&
           !context_column_is_held(column);
}

/* GUARD_STALE is set: looks for what waits. */
void context_look_again(void);

/* A context of what the thread sees now, one reference; not counted as a capture. NULL: no memory. */
struct context *context_visible(struct thread *thread);

/* Of the innermost attach: what it lent of the copied slots, and the values that it lent from; NULL. */
const void *scope_lent(const struct thread *thread);
const void *scope_lent_from(const struct thread *thread);

/* Makes the attached context one that may be written to. False: no memory. */
bool scope_make_private(struct thread *thread);
/* What the task captured is not what it sees any more. */
void context_thaw(struct context *own);
extern const size_t scope_level_size; /* of thread.levels */

struct level {
    struct context *over; /* to put back */
    uintptr_t mark;
    size_t saved_at; /* place of the saved copied values in thread.saved; SIZE_MAX: none */
    uint32_t epoch;  /* slots that were bound later were not saved */
};

/* May an attach at `sp` be a level and no more: on top of one that is not stale, nothing copied? */
static inline bool scope_may_nest(const struct thread *thread, uintptr_t sp)
{
    return thread_is_attached(thread) && guard_is_clear() && thread->mark > sp &&
           thread->depth < thread->levels_max;
}

static inline void scope_nest(struct thread *thread, struct context *context, uintptr_t mark)
{
    struct level *level = &thread->levels[thread->depth++];

    level->over = thread->over;
    level->mark = thread->mark;
    level->saved_at = SIZE_MAX;
    thread->over = context;
    thread->mark = mark | MARK_SLOW;
}

/* The mark of an adopted context on top of what is attached: left with it, before it. */
static inline uintptr_t scope_mark_above(const struct thread *thread)
{
    return ((thread->mark & ~(uintptr_t)MARK_FLAGS) - (MARK_FLAGS + 1)) | MARK_ADOPTED;
}

/* Is the innermost attach one that scope_nest made? */
static inline bool scope_is_nested(const struct thread *thread)
{
    return thread->depth && thread->levels[thread->depth - 1].saved_at == SIZE_MAX &&
           !(thread->over->flags & CONTEXT_PRIVATE);
}

/* Leaves it, but for the reference that the attach may have owned. */
static inline void scope_unnest(struct thread *thread)
{
    const struct level *level = &thread->levels[--thread->depth];

    thread->over = level->over;
    thread->mark = level->mark;
}

/* Attaches are made without a level where they can be: what they replace is in thread_front. */
extern bool scope_is_wordy;
int scope_set_key(struct thread *thread, unsigned key, unsigned column, const void *value,
                  int (*real)(unsigned, const void *));

#endif
