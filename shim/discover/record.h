/* Noting down: record.c keeps the file and the threads, words.c and keys.c what they hold, hooks.c sees the calls. */
#ifndef BATON_DISCOVER_RECORD_H
#define BATON_DISCOVER_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "discover/format.h"

enum {
    TOUCHED_MAX = 64,
    REGIONS_MAX = 64,
    SHADOW_MAX = 1 << 16,
    SITES = 256,
    SITE_EVENTS_MAX = 2000
};

/* What a thread did to a key since its last event. */
struct key_uses {
    const void *got_from, *set_from;
    void *first_value;
    uint8_t flags;
};

/* One for each thread, its own; nobody else looks at it. */
struct recorder {
    uint32_t thread;
    bool is_busy;   /* inside of us: what comes meanwhile passes through */
    bool was_noted; /* the wait that is under way */
    uint32_t touched_count;
    uint16_t touched[TOUCHED_MAX];
    struct {
        const void *from;
        uint32_t count;
    } sites[SITES];
    struct key_uses keys[DISCOVER_NUMBERS];
    unsigned char shadow[SHADOW_MAX]; /* the thread-local words as they were noted last */
    uint8_t changes[SHADOW_MAX / 8];
    struct recorder *next; /* while free */
};

/* NULL: nothing is noted down. */
extern struct discover_header *page;
extern __thread struct recorder *own __attribute__((tls_model("initial-exec")));

/* record.c. The calling thread's; NULL: nothing is noted, or there is no room for another thread. */
struct recorder *recorder_own(void);
/* Of a thread that begins: the one that made it. */
struct recorder *recorder_begin(uint32_t creator, const void *start_routine);
void recorder_end(void);
/* A wake, wait, start...: with what has changed since the last one. FROM: the caller's return address. */
void record_event(enum discover_kind kind, unsigned by, uint64_t object, uint64_t value,
                  const void *from);
/* Places; NULL: the file is full. It is written before its kind is. */
struct discover_event *record_place(const struct recorder *recorder);
void record_commit(struct discover_event *event, enum discover_kind kind);
/* The stack of the caller, whose return address is FROM: an index, 0: none. */
uint32_t record_stack(const void *from);
/* One frame as a stack. */
uint32_t record_site(const void *from);

/* words.c */
void words_begin(void); /* looks at the modules */
void words_thread(struct recorder *recorder);
void words_note(struct recorder *recorder);

/* keys.c */
void keys_note(struct recorder *recorder);
void key_made(unsigned number, const void *variable, const void *destructor, const void *from);
void key_gone(unsigned number);
void key_got(unsigned number, void *value, const void *from);
void key_set(unsigned number, const void *value, const void *from);

#endif
