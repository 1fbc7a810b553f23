/* Between the files of this room, and init.c: the life of thread blocks. */
#ifndef BATON_CONTEXT_THREAD_H
#define BATON_CONTEXT_THREAD_H

#include "context/context.h"

/* Makes our own key, with the real functions; once, before any thread_enter. */
void thread_init(int (*key_create)(unsigned *, void (*)(void *)), int (*setspecific)(unsigned, const void *));

/* As thread_enter; leaves_by_itself: a trampoline of ours calls thread_leave at the thread's end. */
struct thread *thread_enter_kind(bool leaves_by_itself);

void context_drop_snapshot(struct thread *thread);
void context_settle_debt(struct thread *thread);

void thread_fork_lock(void);
void thread_fork_unlock(bool is_child);

#endif
