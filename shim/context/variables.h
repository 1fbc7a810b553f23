/*
 * Variables in contexts: which map is the calling thread's, and running in a context of the user's.
 *
 * The present map is that of the attached context, or the thread's own. *Where* it is changed has an
 * identity, a number that is never used twice: a thread, an attach, a context of the user's while it
 * runs. A token of one is no good in another.
 *
 * Only the calling thread's; `thread` is its block.
 */
#ifndef BATON_CONTEXT_VARIABLES_H
#define BATON_CONTEXT_VARIABLES_H

#include "context/context.h"
#include "slots/variables_map.h"

#pragma GCC visibility push(hidden)

/* A context of the user's (struct baton_context of include/baton.h). Entered in one thread at most. */
struct vars_context {
    _Atomic int64_t refs;
    _Atomic int is_entered;
    uint64_t id;
    struct vars_map *map; /* under a lock: others may look while it runs */
};

/* One entered context; off the stack, because longjmp may leave it without telling. */
struct vars_run {
    struct vars_run *outer;
    struct vars_context *context;
    uintptr_t sp;           /* of the frame that entered it */
    struct context *holder; /* the overlay whose variables it stands in for; NULL: the thread */
    struct vars_map *put_back;
    uint64_t put_back_id;
};

/* The present map; not a reference. */
static inline struct vars_map *vars_now(const struct thread *thread)
{
    return thread_is_attached(thread) ? thread->attached->vars : thread->variables.map;
}
/* The identity of where a set would go; makes an attached context private. 0: no memory. */
uint64_t vars_where(struct thread *thread);
/* Makes `map` the present one; takes the reference. Only after vars_where has answered. */
void vars_set_now(struct thread *thread, struct vars_map *map);

/* NULL: no memory. The map's reference is taken. */
struct vars_context *vars_context_new(struct vars_map *map);
void vars_context_unref(struct vars_context *context);
/* A reference to its map. */
struct vars_map *vars_context_map(struct vars_context *context);

enum vars_run_error { VARS_RUN_OK, VARS_RUN_MEMORY, VARS_RUN_ENTERED };
/* Between vars_enter, from a frame with that stack pointer, and vars_leave everything runs in it. */
enum vars_run_error vars_enter(struct vars_context *context, uintptr_t sp);
/* run.c */
enum vars_run_error vars_run(struct vars_context *context, void (*function)(void *), void *arg);

/* Leaves what was entered in frames at or below sp; in frames that longjmp has left; by the holder. */
void vars_leave(struct thread *thread, uintptr_t sp);
void vars_drop_stale(struct thread *thread, uintptr_t sp);
void vars_leave_holder(struct thread *thread, const struct context *holder);

void vars_fork_lock(void);
void vars_fork_unlock(void);

#pragma GCC visibility pop

#endif
