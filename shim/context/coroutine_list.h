/* The coroutines by their stacks: for coroutine.c. */
#ifndef BATON_CONTEXT_COROUTINE_LIST_H
#define BATON_CONTEXT_COROUTINE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct coroutine;
struct thread;

/* Changes: between these two, which the functions below that ask for it do not do themselves. */
void coroutine_list_lock(void);
void coroutine_list_unlock(void);

/* Locked. False: no memory. */
bool coroutine_list_insert(struct coroutine *coroutine);
void coroutine_list_remove(const struct coroutine *coroutine);
/* Locked. One whose stack is in the way of a new one, made from stack address `sp`; taken off the list. NULL: none. */
struct coroutine *coroutine_list_take_overlapping(uintptr_t low, size_t size, uintptr_t sp);

/* The innermost whose stack holds what lies below `sp`; NULL: none. Any thread, a signal handler too: no lock. */
struct coroutine *coroutine_list_find(uintptr_t sp);
/* The one that was left at `sp`, on a stack that is not its own. */
struct coroutine *coroutine_list_find_astray(uintptr_t sp);

/* May what an attach is kept in move now, and: it has moved. A switch that was interrupted may still write where it was. */
bool coroutine_list_may_grow(struct thread *thread);
void coroutine_list_grown(struct thread *thread);

void coroutine_list_fork_lock(void);
void coroutine_list_fork_unlock(void);

#endif
