/*
 * What a run under `baton discover` notes down: facts only, in a file that is mapped while the process runs and
 * complete at any moment. Judging them is the launcher's (scripts/discover/).
 *
 * All tables are of fixed size; what does not fit is counted. Events stand in the order in which their places
 * were taken; WORD and KEY events belong to the next other event of their thread.
 */
#ifndef BATON_DISCOVER_FORMAT_H
#define BATON_DISCOVER_FORMAT_H

#include <stdint.h>

#define DISCOVER_MAGIC "batonds1"

enum {
    DISCOVER_MODULES = 512,
    DISCOVER_THREADS = 1024,
    DISCOVER_KEYS = 1024,
    DISCOVER_STORAGES = 64, /* of Qt: numbers behind those of keys */
    DISCOVER_NUMBERS = DISCOVER_KEYS + DISCOVER_STORAGES,
    DISCOVER_STACKS = 4096,
    DISCOVER_FRAMES = 16,
    DISCOVER_EVENTS = 1 << 18,
    DISCOVER_PATH = 240
};

enum discover_kind {
    DISCOVER_NONE,   /* its place was taken, it is not written yet */
    DISCOVER_WAKE,   /* object: what was signalled */
    DISCOVER_WAIT,   /* object: what is waited for */
    DISCOVER_WOKEN,  /* object: what was waited for */
    DISCOVER_CREATE, /* object: one for each start; value: the start routine */
    DISCOVER_START,  /* object: the same */
    DISCOVER_END,    /* of a thread */
    DISCOVER_WORD,   /* which: module; object: offset in its block; value: what is there now */
    DISCOVER_KEY, /* which: key index; flags; object: site that got it << 32 | site that set it, both
                          as stacks; value: what it holds now */
    DISCOVER_KEY_FIRST /* which: key index; value: what the first get of the interval answered */
};

/* By what it was woken or waited: for a reader. */
enum discover_by { BY_COND = 1, BY_SEM, BY_FUTEX, BY_EVENTFD, BY_PIPE, BY_THREAD, BY_SOCKET };

enum discover_key_flags { KEY_GOT = 1, KEY_SET = 2, KEY_GOT_FIRST = 4 };

struct discover_event {
    uint16_t kind,
        flags; /* flags: enum discover_by of a wake or wait, discover_key_flags of a key */
    uint32_t thread, stack, which;
    uint64_t object, value;
};

struct discover_module {
    uint64_t base, tls_size, lo, hi;
    char path[DISCOVER_PATH];
};

struct discover_thread {
    uint32_t tid, creator; /* creator: an index; of the first thread its own */
    uint64_t start_routine;
    uint64_t stack_lo, stack_hi;
};

struct discover_key {
    uint32_t number, stack; /* stack: of the thread that made it */
    uint64_t variable, destructor;
    uint64_t
        holder; /* a word of a module that points to the variable, or holds the key; 0: none, or not looked for */
    uint32_t deleted_after; /* how many keys had been made when it was deleted; 0: it was not */
    uint32_t is_storage;    /* no key, a QThreadStorage */
};

struct discover_stack {
    uint32_t hash, count; /* hash 0: free */
    uint64_t frames[DISCOVER_FRAMES];
};

struct discover_header {
    char magic[8];
    uint32_t pid, ended;
    uint32_t modules, threads, keys, stacks;
    uint32_t events, events_lost;
    uint32_t has_unwinder,
        words_left_out; /* bytes of thread-local storage that were not looked at */
    uint64_t reserved[8];
    char started[DISCOVER_PATH]; /* the link that the program was started by; "": its file */
    struct discover_module module[DISCOVER_MODULES];
    struct discover_thread thread[DISCOVER_THREADS];
    struct discover_key key[DISCOVER_KEYS];
    struct discover_stack stack[DISCOVER_STACKS];
    struct discover_event event[DISCOVER_EVENTS];
};

#endif
