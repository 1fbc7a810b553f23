/*
 * What can be carried. A slot is one item of BATON_CARRY: one piece of per-thread state.
 *
 * There are two ways of carrying, and a slot uses exactly one of them at a time:
 *
 *   overlay   pthread keys. The slot owns a *column*: a context holds one pointer a column, and the
 *             hooked pthread_getspecific reads the attached context before the thread's own value.
 *             Attach and detach cost the same for any number of columns (PERFORMANCE: an overlay
 *             that owns the read).
 *   copied    everything else, and keys whose readers bypass our pthread_getspecific. The slot owns
 *             `size` bytes at `offset` of a context's copied part; attach saves the thread's bytes
 *             and writes the context's, detach writes the saved ones back.
 *
 * Layer: slots know nothing of contexts, threads or handoffs. Adding a kind of slot: one file with a
 * struct slot_kind, one line in the table in slots.c.
 */
#ifndef BATON_SLOTS_SLOTS_H
#define BATON_SLOTS_SLOTS_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"

enum { SLOTS_MAX = 250, SLOT_NO_COLUMN = 0xffff };

enum slot_state {
    SLOT_WAITING, /* not found yet: looked for again after dlopen and key creation */
    SLOT_BOUND,
    SLOT_REFUSED, /* found, but must not be carried (reason), or the item is wrong */
};

enum slot_policy {
    POLICY_SHARE,
    POLICY_MOVE,   /* fn: the setter consumes what the getter made */
    POLICY_COPY,   /* copy=N */
    POLICY_STRING, /* string */
    POLICY_CLONE,  /* clone=F,free=F */
    POLICY_REF,    /* ref=F,unref=F */
    POLICY_WEAK,
};

struct slot;

/* What a kind of slot knows how to do. All calls: any thread, no lock held, must keep errno. */
struct slot_kind {
    const char *name; /* the word before the colon */

    /* Reads the item's text after "name:" (len bytes, policies removed). False: *error says what was
     * expected and *where the offset in text. Called once, single-threaded, at start. */
    bool (*parse)(struct slot *slot, const char *text, size_t len, const char **error, size_t *where);

    /* Tries to find what the item names; sets state to SLOT_BOUND or SLOT_REFUSED (with reason) or
     * leaves it waiting. Called with the resolve lock held, never concurrently. */
    void (*resolve)(struct slot *slot);

    /* Copied slots: the calling thread's present value into `value` (slot->size bytes). False: it has
     * none (value is zeroed), which is carried as empty. */
    bool (*read)(const struct slot *slot, void *value);

    /* Copied slots: makes `value` the calling thread's present value. */
    void (*write)(const struct slot *slot, const void *value);

    /* Copied slots, may be NULL: the value of a thread that never set one, into zeroed memory (a TLS
     * variable has its initial image, a precision is not 0). Called after resolve has bound it. */
    void (*initial)(const struct slot *slot, void *value);
};

struct slot {
    const struct slot_kind *kind;
    const char *item; /* as the user wrote it, item_len bytes, not terminated */
    size_t item_len;
    enum slot_state state;
    const char *reason; /* why refused, or why still waiting; static text */
    char where[96];     /* once bound: module and symbol, for the report */

    uint32_t since;  /* slots_epoch in which it was bound */
    uint16_t column; /* overlay column, or SLOT_NO_COLUMN */
    uint32_t offset; /* copied: place in the copied part of a context, a multiple of 8 */
    uint32_t size;   /* copied: bytes */

    enum slot_policy policy;
    size_t copy_size;           /* POLICY_COPY */
    char policy_name[2][128];   /* names of the policy's functions, terminated; "" when none */
    void *policy_function[2];   /* clone/ref and free/unref once found; value at [0] may be NULL */

    union {
        struct {
            char name[128], module[64];
            uintptr_t module_offset; /* MODULE+0xOFFSET, when name is "" */
            unsigned order;          /* n=N, counted from 1; 0 otherwise */
            bool by_creator;         /* name is a function on the creating stack */
            uintptr_t variable;      /* its address once found, or 0 */
        } key;
        struct {
            char name[128], module[64], file[64];
            uintptr_t module_offset;
            size_t module_id, tls_offset;
            intptr_t tp_offset; /* from the thread pointer, where is_static */
            bool is_static, by_offset;
        } tls;
        struct {
            char name[3][160]; /* get, set, free; swap uses name[0] */
            char module[64];
            void *function[3];
        } fn;
        struct {
            uint64_t word[4]; /* built-in kinds and adapters keep what they need here */
            void *pointer[2];
        } other;
    };
};

extern struct slot slots[SLOTS_MAX];
extern unsigned slots_count;
extern unsigned slots_columns;     /* overlay columns in every context */
extern unsigned slots_bytes;       /* copied bytes in every context */
extern bool slots_have_copied;     /* some slot is copied */
extern bool slots_always_build;    /* some slot's value cannot be shared between two captures */

/* Parses BATON_CARRY. Wrong items are reported once (rule 22) and left out; returns how many. */
unsigned slots_init(const struct config *config);

/* Looks again for what is waiting. Cheap when nothing waits. Any thread; takes the resolve lock. */
void slots_resolve(void);
/* Something happened that may let a waiting slot be found (dlopen, a key was created). */
void slots_look_again(void);
extern bool slots_stale; /* slots_resolve has something to look for */

/*
 * Counts changes of what slots are bound to. A context's value of a slot is good only when the
 * context was built (context.epoch) when the slot was bound already (slot.since).
 */
extern _Atomic uint32_t slots_epoch;
/* Set by the context room: something was bound or unbound; may_have_values: threads may have set
 * values that no context knows of, or contexts may hold values of an earlier binding. */
extern void (*slots_changed_hook)(bool may_have_values);

/*
 * Copied slots, in the order of the items; `values` is slots_bytes long.
 * read: returns true when any value is set. same: what read would give now equals `values`.
 * write: every bound slot, first to last; those bound later than `epoch` get their initial value.
 * restore: last to first (rule 5); if borrowed is not NULL, only slots that still hold its value.
 */
bool slots_read(void *values);
bool slots_same(const void *values);
void slots_write(const void *values, uint32_t epoch);
void slots_restore(const void *saved, const void *borrowed);

extern void *slots_initial; /* slots_bytes: kept up to date as slots are bound */

/* Some slot's captured value is baton's own and must be let go with the context. */
extern bool slots_owns_values;
void slots_release(void *values);

/* Around fork. */
void slots_fork_lock(void);
void slots_fork_unlock(void);

/* ---- pthread keys: slots/key.c ---- */

enum { KEYS_MAX = 1024 }; /* PTHREAD_KEYS_MAX of glibc; keys above are never carried */

/* 1 + column of a carried key, 0 for every other: read by the hooked getspecific without a lock. */
extern uint8_t key_column[KEYS_MAX];

struct key_binding {
    pthread_key_t key;
    bool is_bound;
    uint32_t since;              /* slots_epoch in which this key took the column */
    void (*destructor)(void *);  /* the program's own, or NULL */
    const struct slot *slot;
};
extern struct key_binding key_bindings[SLOTS_MAX]; /* by column */

/* The C library's own functions, set at start by the hooks of keys. */
extern void *(*key_read_native)(pthread_key_t key);
extern int (*key_write_native)(pthread_key_t key, const void *value);

/* Told by the hooks of key creation. `destructor` is the program's; the answer is what to hand to
 * the real function: the same, or a trampoline that asks key_destructor_hook first. */
void (*key_will_create(void (*destructor)(void *), int *ticket))(void *);
void key_created(int ticket, pthread_key_t key, const void *variable, const void *caller, bool ok);
void key_deleted(pthread_key_t key);

/* Set by the context room: called when glibc destroys a value of a carried key at thread exit.
 * True: the value is still referenced and will be destroyed later. */
extern bool (*key_destructor_hook)(unsigned column, void *value);

#endif
