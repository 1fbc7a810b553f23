/* Between the files of this room, and init.c: the life of thread blocks. */
#ifndef BATON_CONTEXT_THREAD_H
#define BATON_CONTEXT_THREAD_H

#include "context/context.h"

#pragma GCC visibility push(hidden)

/* Makes our own key, with the real functions and thread_leave_at_exit; once, before any thread_enter. */
void thread_init(int (*key_create)(unsigned *, void (*)(void *)),
                 int (*setspecific)(unsigned, const void *), void (*leave)(void *block));
void thread_leave_at_exit(void *block);
/*
 * That key tells of every thread's end. It does not where the program had taken 32 keys before us: then a thread that does
 * not inherit is started with a frame of ours, too (families/posix/pthread.c), which calls thread_leave.
 */
extern bool thread_ends_are_seen __attribute__((visibility("hidden")));
/* The calling thread is about to end by pthread_exit: its block goes back whether or not our frames are unwound. */
void thread_will_exit(void);
/*
 * Some module has pthread_cancel: a thread may end with nobody having unwound our frames, in code without unwind tables.
 * What threads that start call thread_will_exit for, at once; found when a thread first hands over, and taken for so when a
 * library is opened later: it is not there yet when we hear of it.
 */
extern bool threads_are_cancelled __attribute__((visibility("hidden")));
/* Lets go of what threads have that ended without a word (gone.c), and says how many others have a block. */
void thread_look_by(uint32_t (*look)(uint32_t blocks));
/* All that a thread keeps which has nothing attached; of the calling thread, or of one that is no more. */
void thread_let_go_of_caches(struct thread *thread);
/* Nobody has the block any more: it waits for its next thread. */
void thread_push(struct thread *thread);
/* The calling thread has the block no more; nor its spare ones. */
void thread_give_back(struct thread *thread);
void thread_give_spares(struct thread *thread);

/* Makes room for thread_front in the blocks to come. False: there are blocks already. */
bool thread_reserve_front(size_t size);

/* Asks the system for what blocks in the live report need; after the last thread_reserve_front, before main. */
void thread_prepare(void);

/* As thread_enter, for threads whose trampoline of ours calls thread_leave at their end. */
struct thread *thread_begin(void);

/* A block for a thread that `creator` is about to start; NULL: no memory. It goes back by
 * thread_spare_return if the thread is not started. */
struct thread *thread_spare_slow(struct thread *creator);

static inline __attribute__((always_inline)) struct thread *thread_spare(struct thread *creator)
{
    struct thread *thread = creator->spare;

    if (unlikely(!thread))
        return thread_spare_slow(creator);
    creator->spare = thread->next_free;
    return thread;
}

static inline void thread_spare_return(struct thread *creator, struct thread *thread)
{
    thread->next_free = creator->spare;
    creator->spare = thread;
}

/* What a thread keeps of references to contexts, told to their counters in batches. */
enum { DEFERRED_MAX = 256 };           /* releases told at once */
extern atomic_bool contexts_looked_at; /* by a thread that counts them: their memory stays */
void context_drop_snapshot(struct thread *thread);
void context_flush_releases(struct thread *thread);
void context_flush_batch(struct thread *thread);
void context_drop_lent(struct thread *thread);

/*
 * The C library has so many of a thread's values together: the first lie in the thread, memory for others is asked for with
 * the first of them that is not NULL. Once there is any, a set of one is not refused.
 */
enum { KEYS_TOGETHER = 32 };
#define KEYS_TOGETHER_NONE UINT32_MAX

/* The C library has a value of the thread's for the key, and memory for those that lie with it. */
static inline void thread_note_set(struct thread *thread, unsigned key, const void *value)
{
    if (value || key < KEYS_TOGETHER)
        thread->set_last = key / KEYS_TOGETHER;
}

void thread_fork_lock(void);
void thread_fork_unlock(bool is_child);

#pragma GCC visibility pop

#endif
