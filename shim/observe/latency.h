/* How long handoffs waited, for the report (BATON_LATENCY). */
#ifndef BATON_OBSERVE_LATENCY_H
#define BATON_OBSERVE_LATENCY_H

#include <stdint.h>

#include "observe/live_format.h"

struct latency {
    uint64_t count, max; /* ticks, as all of these */
    uint64_t buckets[LIVE_BUCKETS];
};

/* Of one family, over all threads. */
void latency_sum(unsigned family, struct latency *out);
/* Of each function that the user names, too. Before any handoff. */
void latency_begin_hooks(void);
/* One of a hook's waited so long. */
void latency_note_hook(unsigned index, uint64_t ticks);
/* In a child of fork, which has handed nothing over yet. */
void latency_forget_hooks(void);
/* Of one hook; NULL: none of its handoffs has run. */
const struct latency *latency_of_hook(unsigned index);

/* The time below which `percent` of all waited, in nanoseconds. */
uint64_t latency_quantile(const struct latency *latency, unsigned percent);

#endif
