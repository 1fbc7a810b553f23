/*
 * What libgomp's regions and its tasks share: the team of a parallel region.
 *
 * Discarded tasks are the reason. With OMP_CANCELLATION=true libgomp may free a queued task without
 * calling anything of ours. Then, and only then, a task's context is held by a *loose task*, which
 * the team knows: whatever is left of them when the region has ended was discarded.
 */
#ifndef BATON_FAMILIES_OPENMP_GOMP_TEAM_H
#define BATON_FAMILIES_OPENMP_GOMP_TEAM_H

#include "base/lock.h"
#include "families/handoff.h"

struct loose_task;

/* On the stack of the thread that starts the region, or allocated (split start and end). */
struct team {
    void *first; /* GOMP_parallel_reductions reads the first word of its data: keep it first */
    void (*function)(void *);
    void *data;
    struct context *context;  /* the members borrow it until the region ends */
    struct thread *master;    /* runs its part in its own values */
    struct team *outer;       /* of the split starts of one thread */
    struct loose_task *loose; /* under lock_of (team) */
};

/* A task that may be discarded. It belongs to the team's list until it runs or the region ends. */
struct loose_task {
    struct context *context;
    struct team *team; /* NULL: made outside of any region, where tasks run at once */
    void *block;       /* handoff memory that goes with it, or NULL */
    size_t block_size;
    struct loose_task *previous, *next;
};

/* Tasks may be discarded; constant after the first call. `caller` finds the program's libgomp. */
enum { CANCELS_UNKNOWN, CANCELS_NOT, CANCELS };
extern int team_cancels __attribute__((visibility("hidden")));
bool team_can_cancel(const void *caller);

/*
 * Once it is known that tasks are never discarded and where the real function is, a hook can be
 * entered behind those two questions.
 */
#define TEAM_CHOOSE(NAME, plain)                                                           \
    do {                                                                                   \
        if (team_cancels == CANCELS_NOT && hook_real[HOOK_##NAME] && !hooks_are_seen)      \
            __atomic_store_n(&hook_enter[HOOK_##NAME], (void *)(plain), __ATOMIC_RELEASE); \
    } while (0)

/* The region whose task the calling thread runs; kept only when tasks may be discarded. */
extern __thread struct team *team_current
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Takes over the reference to `context`; NULL: no memory, and it has not. */
struct loose_task *loose_new(struct context *context);
/* Gives the record back; the reference goes to the caller. */
struct loose_task loose_take(struct loose_task *task);
/* Region over: lets go of what was discarded. */
void loose_drop_all(struct team *team);

#endif
