/*
 * Records of a trace (trace_format.h), as a thread writes them: no lock, no system call, complete at any
 * moment (context/trace.h says how).
 */
#ifndef BATON_OBSERVE_RING_H
#define BATON_OBSERVE_RING_H

#include "context/trace.h"
#include "observe/watch.h"

extern bool ring_is_on __attribute__((visibility("hidden")));

/* A record where the ring has none left before its next anchor: sets that, and takes a new chunk if need be. NULL: it
 * is lost, which is counted. */
uint64_t *ring_more(struct watcher *watcher, unsigned words);

/* Room for a record, all 0; NULL: it is lost. How it is written: context/trace.h. */
static inline uint64_t *ring_reserve(struct watcher *watcher, unsigned words)
{
    struct thread_trace *trace = &watcher->thread->trace;
    uint64_t *record = arch_move_on(&trace->next, words * sizeof *record);

    arch_forget(trace->end); /* the end that there is now, not before */
    return likely(record + words <= trace->end) ? record : ring_more(watcher, words);
}

/* Of a record that is not committed, and ends at `reserved`, what is behind `end` is not needed. */
static inline void ring_shorten(struct watcher *watcher, uint64_t *record, uint64_t *end,
                                uint64_t *reserved)
{
    record[0] = (record[0] & ~(uint64_t)0xff00) | (uint64_t)(end - record) << 8;
    arch_move_back(&watcher->thread->trace.next, reserved, end);
}

static inline void ring_write(struct watcher *watcher, uint64_t word, uint64_t ticks, uint64_t id)
{
    uint64_t *record = ring_is_on ? ring_reserve(watcher, 3) : NULL;

    if (!record)
        return;
    trace_begin(record, word);
    record[TRACE_AT_ID] = id;
    trace_commit(record, ticks);
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

/* The same where all are such words; the end of what is written. */
static inline __attribute__((always_inline)) uint64_t *ring_put_words(const struct context *context,
                                                                      uint64_t *next)
{
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
    return next;
}

static inline unsigned ring_values(const struct context *context, uint64_t *into, unsigned room)
{
    return ring_has_words_only ? (unsigned)(ring_put_words(context, into) - into)
                               : ring_values_any(context, into, room);
}

/* From the settings: what of the slots is shown, and how. */
void ring_plan(const struct config *config);
extern unsigned ring_values_max __attribute__((visibility("hidden"))); /* words, at most */

#endif
