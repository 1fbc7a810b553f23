/*
 * Whose value it is that contexts keep a pointer to, and whether the owner still has it: for the policy
 * weak, and for values that `share` leaves dangling (context/dangling.c).
 *
 * The owner is a thread, or, of a key's value that a task has set, the attach of that task. What is kept
 * in a thread-local variable is looked at when it is asked for. What is behind functions is known only
 * when the owner itself is here: when it hands over, runs a task, or sets a value and is seen to.
 * While the owner runs a task its own copied values are *aside*: nothing can change them.
 */
#ifndef BATON_SLOTS_ORIGIN_H
#define BATON_SLOTS_ORIGIN_H

#include <stdatomic.h>
#include <stdbool.h>

#pragma GCC visibility push(hidden)

struct slot;
struct origin;

enum origin_state {
    ORIGIN_CURRENT,
    ORIGIN_CHANGED, /* the owner has another value, or none */
    ORIGIN_GONE,    /* the owner is no more, or its slot */
};

extern bool origins_on;   /* set before any capture: somebody asks */
extern bool origins_tell; /* and takes those that have changed (origin_changed) */
extern atomic_bool origins_were_listed __attribute__((visibility("hidden")));
/* Listed ones that can be looked at; those to be told, each held once more for that. */
extern struct origin *origins_with_place __attribute__((visibility("hidden")));
extern struct origin *_Atomic origins_changed __attribute__((visibility("hidden")));

/* "This owner has this value": one reference; place: where it is kept, or NULL. NULL: no memory. */
struct origin *origin_get(const struct slot *slot, void *value, const void *owner,
                          void *const *place);
struct origin *origin_ref(struct origin *origin);
void origin_put(struct origin *origin);

enum origin_state origin_look(struct origin *origin);
void *origin_value(const struct origin *origin);
const struct slot *origin_slot(const struct origin *origin);
/* ORIGIN_CHANGED: what the owner has instead. */
const void *origin_after(const struct origin *origin);

/* One that can be looked at is listed, or one has changed: otherwise the next two do nothing. */
static inline bool origin_has_news(void)
{
    return atomic_load_explicit(&origins_were_listed, memory_order_relaxed) &&
           (__atomic_load_n(&origins_with_place, __ATOMIC_RELAXED) ||
            atomic_load_explicit(&origins_changed, memory_order_relaxed));
}

/* Looks at some that can be looked at, others each time. */
void origin_look_around(unsigned most);
/* One that has changed since the last call, and a reference to it; NULL: none. */
struct origin *origin_changed(void);

/* Perhaps the owner has something listed here; only the owner may ask. */
bool origin_owns_any(const void *owner);

/* The same at once, in a process in which nothing was ever listed. */
static inline bool origin_may_own_any(const void *owner)
{
    return atomic_load_explicit(&origins_were_listed, memory_order_relaxed) &&
           origin_owns_any(owner);
}

/* The owner has `now`, and no other value that it had. */
void origin_seen(const void *owner, const struct slot *slot, const void *now);
/* The owner is about to set a value, whatever it is. Also in a signal handler. */
void origin_set(const void *owner, const struct slot *slot);

/* The owner's copied values go aside; are back again, and those that it had meanwhile are no more. */
void origin_set_aside(const void *owner);
void origin_back(const void *owner);
/* The owner goes on with another stack, and its copied values with that: not followed. */
void origin_switched(const void *owner);

/* The owner is no more; every owner's value of a slot is void. */
void origin_gone(const void *owner);
void origin_slot_gone(const struct slot *slot);

/* In the child of a fork, where no other thread is, nor the memory that it kept its values in. */
void origin_forked(const void *thread);
void origin_fork_lock(void);
void origin_fork_unlock(void);

#pragma GCC visibility pop

#endif
