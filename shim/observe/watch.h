/* Handoffs get an identity: the observer of context/observer.h, and what it knows of each thread. */
#ifndef BATON_OBSERVE_WATCH_H
#define BATON_OBSERVE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "context/context.h"
#include "observe/store.h"

enum { WATCH_SITES = 16, WATCH_FRAMES = 64 };

/* A call that was seen before: the same site, the same stack pointer, the same return addresses where
 * they were (stacks.c). */
struct watched_site {
    const void *site;
    uintptr_t sp;
    uint32_t stack, count;
    const void *frames[WATCH_FRAMES];
    const void *const *places[WATCH_FRAMES];
};

/* What all handoffs of a call at the program's own beginning (`parent` 0), or in one node, have in common. */
struct watched_place {
    const void *site;         /* NULL: no call of a hooked function */
    uint64_t key;             /* OBSERVER_CALL, of hook_call.id; above 32 bits: the parent */
    struct handoff_from from; /* node 0: not known */
    uint64_t of;   /* the fourth word of the record in the trace, where there is no parent */
    uint64_t head; /* of the record in the trace, with the length of the longest */
};

/* Of a thread block, stays with it; written by the thread that has the block. */
struct watcher {
    struct thread *thread; /* whose it is */
    struct live_thread *live;
    const struct watched_place *last; /* of the latest call */
    struct trace_chunk *chunk, *oldest;
    uint64_t lost;
    uint64_t last_id;
    struct handoff *free, *spare;
    uint32_t free_count, tid;
    bool is_busy; /* in ring_more: a signal handler's record waits for nobody */
    uint32_t ring, sequence, generation;
    struct watched_site *sites; /* BATON_STACKS */
    void *handler_stack;        /* crash.c */
    void *volatile *published;  /* publish.c */
    struct watched_place places[WATCH_SITES];
};

/* The calling thread's; NULL: it has no block, or there is no memory. */
struct watcher *watch_thread(struct thread *thread);
/* The calling thread's, for its signal handler; NULL: it was not watched yet. */
extern __thread struct watcher *watcher_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* Sets up what the settings ask for, before any capture. False: nobody asked. */
bool watch_is_wanted(const struct config *config);
void watch_start(const struct config *config);
/* Exit has begun. */
void watch_stop(void);

/* Calls visit for every thread's block. */
void watch_each_thread(void (*visit)(const struct live_thread *live, void *arg), void *arg);

/* Ticks in nanoseconds. */
uint64_t watch_ns(uint64_t ticks);

void watch_fork_lock(void);
void watch_fork_unlock(bool is_child);

#endif
