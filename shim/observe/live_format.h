/*
 * What an observed process shows while it runs: counts, latencies, what is in flight. No values of the
 * program's are in it. BATON_LIVE=on: a file that `baton top` maps, mode 0600; else memory of its own.
 */
#ifndef BATON_OBSERVE_LIVE_FORMAT_H
#define BATON_OBSERVE_LIVE_FORMAT_H

#include <stdint.h>

#define LIVE_PAGE_MAGIC "BATONLV1"

enum {
    LIVE_FAMILIES = 48,
    LIVE_BUCKETS = 64,
    LIVE_NEST = 30,
    LIVE_THREADS = 2048,
    LIVE_THREAD_SIZE = 16384,
    LIVE_HEADER = 16384,
    LIVE_HANDOFFS = 1 << 20,
};

/* Bucket of a time in ticks: two a power of two. */
static inline unsigned live_bucket(uint64_t ticks)
{
    unsigned log = 63 - (unsigned)__builtin_clzll(ticks | 1);
    unsigned bucket = log * 2 + (log ? (unsigned)(ticks >> (log - 1) & 1) : 0);

    return bucket < 16 ? 0 : bucket - 16 < LIVE_BUCKETS ? bucket - 16 : LIVE_BUCKETS - 1;
}

/* The least that falls into a bucket; the one before ends there. */
static inline uint64_t live_bucket_start(unsigned bucket)
{
    unsigned log = (bucket + 16) / 2;

    return bucket ? (uint64_t)1 << log | (uint64_t)(bucket & 1) << (log - 1) : 0;
}

/* Where a handoff comes from. */
#define HANDOFF_FROM                    \
    uint32_t node; /* trace_format.h */ \
    uint32_t runs;                      \
    uint16_t hook;                      \
    uint8_t family, flags;              \
    uint32_t tid /* of the submitting thread */

struct handoff_from {
    HANDOFF_FROM;
};

/* A handoff that is watched. id 0: free. */
struct handoff {
    uint64_t id;
    union {
        struct {
            HANDOFF_FROM;
        };
        struct handoff_from from;
    };
    uint64_t submitted; /* ticks */
    uint64_t reserved;
    struct handoff *next; /* free ones */
    struct context *own;  /* the place of its watched copy */
    struct handoff *batch;
};
_Static_assert(sizeof(void *) != 8 || sizeof(struct handoff) == 64, "a line of the cache");

struct live_run {
    uint64_t id;
    uint64_t started; /* ticks */
    const struct handoff *handoff;
    uint32_t node, reserved;
};

/* One a thread block: its numbers add up over all threads that had it. */
struct live_thread {
    uint32_t tid;   /* of the thread that has it, or had it last */
    uint32_t depth; /* runs in use */
    uint64_t submitted[LIVE_FAMILIES], started[LIVE_FAMILIES], dropped[LIVE_FAMILIES],
        finished[LIVE_FAMILIES];
    uint64_t queue_max[LIVE_FAMILIES];
    struct live_run runs[LIVE_NEST];
    uint32_t queue[LIVE_FAMILIES][LIVE_BUCKETS];
};

struct live_header {
    char magic[8];
    uint32_t version, pid;
    uint64_t first_ticks, first_ns, real_ns; /* ticks, CLOCK_MONOTONIC, CLOCK_REALTIME */
    uint32_t clock;
    uint32_t is_alive; /* 0: exit has begun */
    uint64_t threads_at, handoffs_at;
    _Atomic uint32_t threads_used, handoffs_used;
    uint32_t family_count;
    uint32_t pid_namespace; /* base/leftover.h */
    char program[256];
    char families[LIVE_FAMILIES][16];
};

#endif
