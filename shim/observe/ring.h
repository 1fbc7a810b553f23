/*
 * Records of a trace (trace_format.h), as a thread writes them: no lock, no system call, complete at any
 * moment. A record is in place before `used` says so.
 */
#ifndef BATON_OBSERVE_RING_H
#define BATON_OBSERVE_RING_H

#include "observe/watch.h"

extern bool ring_is_on __attribute__((visibility("hidden")));

/* An anchor, and a new chunk for a ring whose chunk is full. False: there is no room. */
bool ring_more(struct watcher *watcher, unsigned words);

/* Room for a record; NULL: it is lost, which is counted. */
static inline uint64_t *ring_reserve(struct watcher *watcher, unsigned words)
{
    if (unlikely(watcher->is_busy)) {
        watcher->lost++;
        return NULL;
    }
    watcher->is_busy = true;
    atomic_signal_fence(memory_order_acq_rel);
    if (unlikely(watcher->next + words > watcher->end) && !ring_more(watcher, words)) {
        watcher->is_busy = false;
        return NULL;
    }
    return watcher->next;
}

static inline void ring_commit(struct watcher *watcher, unsigned words)
{
    struct trace_chunk *chunk = watcher->chunk;

    watcher->next += words;
    atomic_store_explicit(&chunk->used, (uint32_t)((char *)watcher->next - (char *)chunk),
                          memory_order_release);
    atomic_signal_fence(memory_order_release);
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
unsigned ring_values_any(const struct context *context, uint64_t *into, unsigned room);

/* A value that is one word: where it is from the context on, what of it counts, and what is written before it. */
struct ring_word {
    int64_t at;
    uint64_t mask, head; /* head 0: the last was before */
    uint64_t initial;    /* what a thread has that never set it, and is left out */
};
enum { RING_WORDS_MAX = 64 };
extern struct ring_word ring_words[RING_WORDS_MAX + 1] __attribute__((visibility("hidden")));
extern bool ring_has_words_only __attribute__((visibility("hidden"))); /* of all that is shown */

static inline __attribute__((always_inline)) unsigned
ring_values_of_words(const struct context *context, uint64_t *into)
{
    uint64_t *next = into;

    for (const struct ring_word *word = ring_words; word->head; word++) {
        uint64_t value;

        __builtin_memcpy(&value, (const char *)context + word->at, sizeof value);
        value &= word->mask;
        if (!value || value == word->initial)
            continue;
        next[0] = word->head;
        next[1] = value;
        next += 2;
    }
    return (unsigned)(next - into);
}

static inline unsigned ring_values(const struct context *context, uint64_t *into, unsigned room)
{
    return ring_has_words_only ? ring_values_of_words(context, into)
                               : ring_values_any(context, into, room);
}

/* From the settings: what of the slots is shown, and how. */
void ring_plan(const struct config *config);
extern unsigned ring_values_max __attribute__((visibility("hidden"))); /* words, at most */

#endif
