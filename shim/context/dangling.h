/*
 * Values that `share` leaves dangling (BATON_STRICT): the owner replaced one, or set it to NULL, while
 * handoffs still hold it. Off, nothing here is called.
 *
 * Of keys that is known at once. A thread-local variable is looked at whenever something is handed
 * over, starts, ends or is let go; behind functions, only the owner's own handoffs and tasks show it.
 */
#ifndef BATON_CONTEXT_DANGLING_H
#define BATON_CONTEXT_DANGLING_H

#include <stdbool.h>

struct context;
struct slot;
struct thread;

extern bool dangling_on; /* set before any capture */

/* `context` holds `value` of a key's slot from now on; where it was handed over is looked up here. */
void dangling_hold(const struct context *context, const struct slot *slot, const void *value);
/* The same for what it holds of copied slots, which the calling thread has just captured. */
void dangling_hold_copied(const struct thread *thread, const struct context *context);
void dangling_let_go(const struct context *context);

/* The value of a slot was replaced by another (NULL: freed, presumably). Says so once for every place
 * that hands it over. */
void dangling_replaced(const struct slot *slot, const void *value, const void *by);
/* Looks at all that can be looked at. */
void dangling_look(void);

/* How many values of a slot were replaced while handoffs held them. */
unsigned dangling_count(const struct slot *slot);

void dangling_fork_lock(void);
void dangling_fork_unlock(void);

#endif
