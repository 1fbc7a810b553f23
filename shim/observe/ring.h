/*
 * Records of a trace (trace_format.h), as a thread writes them: no lock, no system call, complete at any
 * moment. A record is in place before `used` says so.
 */
#ifndef BATON_OBSERVE_RING_H
#define BATON_OBSERVE_RING_H

#include "observe/watch.h"

extern bool ring_is_on;

/* A new chunk for a ring whose chunk is full. False: there is no room. */
bool ring_more(struct watcher *watcher);
void ring_anchor(struct watcher *watcher);

enum { RING_ANCHOR_EVERY = 128 };

/* Room for a record; NULL: it is lost, which is counted. */
static inline uint64_t *ring_reserve(struct watcher *watcher, unsigned words)
{
    if (unlikely(watcher->is_busy)) {
        watcher->lost++;
        return NULL;
    }
    watcher->is_busy = true;
    if (unlikely(watcher->next + words > watcher->end) && !ring_more(watcher)) {
        watcher->is_busy = false;
        return NULL;
    }
    return watcher->next;
}

static inline void ring_commit(struct watcher *watcher, unsigned words)
{
    struct trace_chunk *chunk = watcher->chunk;
    uint32_t records = atomic_load_explicit(&chunk->records, memory_order_relaxed) + 1;

    watcher->next += words;
    atomic_store_explicit(&chunk->records, records, memory_order_relaxed);
    atomic_store_explicit(&chunk->used, (uint32_t)((char *)watcher->next - (char *)chunk),
                          memory_order_release);
    if (unlikely(records % RING_ANCHOR_EVERY == 1))
        ring_anchor(watcher);
    watcher->is_busy = false;
}

static inline void ring_write(struct watcher *watcher, uint64_t word, uint64_t ticks, uint64_t id)
{
    uint64_t *record = ring_is_on ? ring_reserve(watcher, 3) : NULL;

    if (!record)
        return;
    record[0] = word;
    record[1] = ticks;
    record[2] = id;
    ring_commit(watcher, 3);
}

/* Says which thread writes from now on. */
void ring_thread(struct watcher *watcher);

/* What `context` holds of the slots, as words from `into` on, `room` of them; how many. */
unsigned ring_values(const struct context *context, uint64_t *into, unsigned room);
/* From the settings: what of the slots is shown, and how. */
void ring_plan(const struct config *config);
unsigned ring_values_max(void);

#endif
