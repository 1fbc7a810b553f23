/* Inside of follow.c and wakings.c: what was woken, and by whom; what is known of each thread on the way. */
#ifndef BATON_DISCOVER_WAKINGS_H
#define BATON_DISCOVER_WAKINGS_H

#include "facts.h"

#define NOBODY UINT32_MAX

enum { KEPT_WAKES = 16 };

/* Somebody woke, holding this. */
struct wake {
    uint32_t thread, stack;
    uint64_t *values;    /* of all subjects */
    unsigned char *sets; /* of keys, discover_key_flags since the wake before */
    uint32_t giver;      /* who had handed over the task that woke; NOBODY: it is not known */
    uint64_t *given;     /* what that one held */
};

/* An object that is woken. */
struct waking {
    uint64_t object;
    uint32_t by;
    struct wake last;
    struct wake kept[KEPT_WAKES]; /* the first ones, while nobody was woken by any */
    unsigned kept_count;
    struct channel *channel; /* the last that it has opened */
    bool is_told;            /* somebody was woken by it */
    bool is_waited;          /* somebody waited for it, woken or not */
};

/* Of a key, beside discover_key_flags: the task asked for it first, and found what its thread had set before. */
enum { TASK_FOUND_OWN = 64 };

/* What is known of each thread on the way. */
struct thread_state {
    uint64_t *values;        /* of all subjects, now */
    unsigned char *touched;  /* discover_key_flags since its last event */
    unsigned char *in_task;  /* since it was woken; with TASK_FOUND_OWN */
    uint64_t *at_start;      /* of the task */
    struct channel *channel; /* of the task; NULL: it is in none */
    uint32_t giver;          /* who has handed it over; NOBODY: it is not known */
    uint64_t *given;         /* what that one held then */
    uint32_t waits_on, waits_stack;
    struct channel *start_channel; /* of its start; NULL: nobody was seen starting it */
    uint32_t start_stack;
    bool has_waited;
};

/* ---- follow.c ---- */

extern struct thread_state states[DISCOVER_THREADS];

struct place place_in(uint32_t stack, uint32_t frame);
bool same_place(const struct place *one, const struct place *other);
/* NULL: it is not known who woke, or there are too many. */
struct channel *channel_of(const struct wake *wake, uint32_t waiter_stack, uint32_t by);
void note_worker(struct channel *channel, uint32_t thread);
/* What the waking thread held, on its way; WORKER: the one that was woken, NULL: none that is known. */
void tell(struct channel *channel, const struct wake *wake, const struct thread_state *worker);

/* ---- wakings.c ---- */

/* NULL: there is none, or no room. */
struct waking *waking_of(uint64_t object, uint32_t by, bool is_made);
/* The last wake found nobody, and another one comes. */
void waking_keep(struct waking *waking);
/* Somebody was woken at last: the wakes before were for the same. On which way most of them were, whose tasks are what
 * comes now; NULL: there were none. */
struct channel *waking_tell_kept(struct waking *waking, uint32_t thread, uint32_t waiter_stack);
void wakings_note_wait(const struct discover_event *event, struct thread_state *state);
/* At the end: wakes that found nobody waiting, ever. */
void wakings_of_the_busy(void);

#endif
