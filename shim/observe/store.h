/* The two mappings that an observed process writes to (trace_format.h, live_format.h). */
#ifndef BATON_OBSERVE_STORE_H
#define BATON_OBSERVE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "observe/live_format.h"
#include "observe/trace_format.h"

extern struct trace_header *store_trace
    __attribute__((visibility("hidden"))); /* NULL: not observed */
extern struct live_header *store_live __attribute__((visibility("hidden")));
extern struct handoff *store_handoffs __attribute__((visibility("hidden")));

/* Now, on the trace's clock. */
uint64_t store_ticks_slow(void);
/* That clock: the processor's own counter, else CLOCK_MONOTONIC. Who opens the store has chosen it before. */
extern bool store_has_ticks __attribute__((visibility("hidden")));
struct trace_anchor store_anchor(void);

/*
 * Makes both. file: where traces go, NULL: nowhere, then there are no chunks; megabytes: how large it
 * may become; is_live: show what goes on. Says what cannot be had. False: nothing can be observed.
 */
bool store_open(const char *file, unsigned megabytes, bool is_live);
/* In a forked child: what is mapped is the parent's, and stays. The child makes its own when it needs it. */
void store_forget(void);
/* Exit: nobody need look at the live page any more. */
void store_close(void);

/* A chunk that nobody has; NULL: all are taken. */
struct trace_chunk *store_chunk(void);

/* The word of a stack of `count` frames, innermost first; equal stacks have one. 0: no room. */
uint32_t store_stack(const void *const *frames, unsigned count);
/* The node of work that `parent` has handed over at `stack`. */
uint32_t store_node(uint32_t parent, uint32_t stack);

/* Room for `count` more handoffs: the index of the first; UINT32_MAX: there is none. */
uint32_t store_reserve_handoffs(uint32_t count);
/* A block for a thread; NULL: there is none. */
struct live_thread *store_thread(void);

static inline const struct trace_node *store_nodes(void)
{
    return (const struct trace_node *)(void *)((char *)store_trace + store_trace->nodes_at);
}

static inline const uint64_t *store_stack_words(void)
{
    return (const uint64_t *)(void *)((char *)store_trace + store_trace->stacks_at);
}

void store_fork_lock(void);
void store_fork_unlock(void);

#endif
