/*
 * What can be carried. A slot is one item of BATON_CARRY: one piece of per-thread state.
 *
 * There are two ways of carrying, and a slot uses exactly one of them at a time:
 *
 *   overlay   pthread keys. The slot owns a *key index*: a context holds one pointer a key index, and the
 *             hooked pthread_getspecific reads the attached context before the thread's own value.
 *             Attach and detach cost the same for any number of key indexes.
 *   copied    everything else. The slot owns `size` bytes at `offset` of a context's copied part;
 *             attach saves the thread's bytes and writes the context's, detach writes the saved
 *             ones back (move.c; plain thread-local words: words.c).
 *
 * struct slot_kind (kind.h) is all that there is to know of a kind: nobody asks which one a slot is of. What of keys is
 * not a slot's is in keys.h.
 *
 * Layer: slots know nothing of contexts, threads or handoffs. Adding a kind of slot: one file with a
 * struct slot_kind, its name here, and in the table in kinds.c.
 */
#ifndef BATON_SLOTS_SLOTS_H
#define BATON_SLOTS_SLOTS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/config.h"
#include "base/sandbox.h"
#include "slots/form.h"

#pragma GCC visibility push(hidden)

enum {
    SLOTS_MAX = 250,
    SLOT_NO_KEY = 0xffff,
    LATE_TLS_SIZE = 256, /* bytes for a variable that is not found yet */
};

struct elf_search;
struct known;

/* A name that is looked for (names.c). */
struct slot_name {
    unsigned index;
};

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
struct slot_kind;

struct slot {
    const struct slot_kind *kind;
    const char *item; /* as the user wrote it */
    enum slot_state state;
    bool has_offset;     /* offset is assigned */
    bool is_fixed;       /* bytes at tp_offset from the thread pointer in every thread */
    bool is_static_word; /* moved by words.c */
    const char *reason;  /* why refused, or why still waiting; static text */
    const char *note;    /* bound: what the user should know; NULL: nothing */
    char *hint;        /* what may have been meant, once that has been looked for; NULL: no idea */
    bool is_note_said; /* at exit, too: the user may have meant something else */
    _Atomic bool had_value; /* copied: some context had a value of it (keys: keys_had_value) */
    bool was_bound; /* waiting: to what is gone by now: a deleted key, an unloaded library */
    char where[96]; /* once bound: module and symbol, for the report */

    struct known *known; /* `auto` named it; NULL: the user did */
    bool is_dormant;     /* what it is for is not in the process yet: not looked for, not told of */

    uint32_t since;     /* slots_epoch in which it was bound */
    uint16_t key_index; /* overlay key index, or SLOT_NO_KEY */
    uint32_t offset;    /* copied: place in the copied part of a context, a multiple of 8
                        except of static words */
    uint32_t size;      /* copied: bytes */
    intptr_t tp_offset; /* where is_fixed */

    bool is_cloned; /* copied: what read gives is a copy of its own, and must be released */
    bool is_owned;  /* a context keeps a word that stands for the value: policy.h */
    _Atomic uint32_t failures; /* of making or attaching a value: the task ran without (rule 23) */
    enum slot_policy policy;
    size_t copy_size;           /* POLICY_COPY */
    const char *policy_name[2]; /* names of the policy's functions, NULL when none */
    struct slot_name policy_id[2];
    void *policy_function[2]; /* clone/ref and free/unref once found; value at [0] may be NULL */

    union {
        struct {
            const char *name, *module; /* module may be NULL */
            struct slot_name id;       /* when name is not NULL */
            uintptr_t module_offset;   /* MODULE+0xOFFSET, when name is NULL */
            unsigned order;            /* n=N, counted from 1; 0 otherwise */
            pthread_key_t number;      /* native: the key */
            uint16_t overlay;          /* 1 + the key index of one that may be native or not */
            bool by_creator;           /* name is a function on the creating stack */
            uint16_t which;            /* #N: which of its keys; 0: the first */
            uint16_t made, live,
                most; /* how many it has made since none of them was there; are there; the most */
            uintptr_t variable; /* its address once found, or 0 */
            uintptr_t creator_lo, creator_hi;
            bool is_lasting; /* found in a module that is never unloaded */
        } key;
        struct {
            const char *name, *module, *file; /* module, file may be NULL; name NULL: by offset */
            struct slot_name id;              /* when name is not NULL */
            size_t module_id, tls_offset;
            size_t entry, generation; /* where it is not is_fixed: elf_tls_peek */
            union {
                struct typed *typed;          /* with a codec: typed.c */
                struct storage_item *storage; /* of qt: items, storage.c */
            };
        } tls;
        struct {
            const char *name[3]; /* get, set, free (may be NULL); swap and at= use the first */
            struct slot_name id[3];
            const char *module[3];
            void *function[3];
            unsigned setter;    /* which of them changes the value */
            uintptr_t entry;    /* weak: where the hook of the setter is, 0: it has none */
            void *real_setter;  /* the setter without the hook */
            bool is_filled;     /* get writes through a pointer that it is given */
            bool takes_address; /* set takes the address of the value */
            bool is_place;      /* get answers where the value is */
            /* at=: a static object, which may be everybody's, and the thread that got it (place.c);
             * get=, fill=: what was seen of them (fn.c) */
            _Atomic(uintptr_t) object, object_thread;
        } fn;
        struct {
            uint64_t word[4]; /* built-in kinds and adapters keep what they need here */
            void *pointer[2];
        } other;
    };
};

/* Each in the file of its name; kinds.c has the table of those that items begin with. */
extern const struct slot_kind slot_kind_key, slot_kind_tls, slot_kind_fn, slot_kind_swap,
    slot_kind_adapter, slot_kind_locale, slot_kind_fenv, slot_kind_name, slot_kind_ioprio,
    slot_kind_storage;
/* Of items that begin as fn: does: what fn:at= makes of them (place.c). */
extern const struct slot_kind slot_kind_place;

enum { SLOT_KINDS = 10 };
extern const struct slot_kind *const slot_kinds[SLOT_KINDS];
/* The kind of that name. NULL: there is none. */
const struct slot_kind *slot_kind_find(const char *name, size_t len);

extern struct slot slots[SLOTS_MAX];
extern unsigned slots_count;
extern unsigned slots_key_count; /* overlay key indexes in every context */
extern unsigned slots_bytes;     /* copied bytes in every context */
/* As long as a block of them is, which ends where what it belongs to begins. */
static inline size_t slots_block_bytes(void)
{
    return (slots_bytes + 15) & ~(size_t)15;
}
extern unsigned slots_saved_bytes; /* what an attach remembers of the copied slots */
extern bool slots_have_owned_keys; /* attaching lends values of keys */
extern bool slots_have_copied;     /* some slot is copied */
extern bool slots_have_native;     /* some key is carried in the C library's own store */
/*
 * Set before slots_begin: a module that came with the program has functions for keys of its own, which
 * may not come through us. Keys are then carried in the C library's own store, where they can be.
 */
extern bool slots_keys_native;
extern bool slots_are_words;    /* every copied slot is a plain thread-local word (words.h) */
extern bool slots_watched;      /* set before slots_begin: whose shared values are is asked for */
extern bool slots_always_build; /* some slot's value cannot be shared between two captures */

extern bool slots_watch_setters; /* some slot's changes are seen at its setter only */
extern bool slots_setters_known; /* set by the room that hooks them: all that can be are hooked */

/* Does some slot look at stacks? (slots_calls.backtrace) */
bool slots_need_stacks(void);

/* Parses BATON_CARRY. Wrong items are reported once (rule 22) and left out; returns how many. */
unsigned slots_parse(struct config *config);
/* Looks for what they name, and gives them their places in a context. */
void slots_begin(void);
extern bool slots_may_not_open; /* init.c: it is too early for that, and will be asked again */

/* PATH, of SLOT_FOLDER_SIZE bytes, gets the folder of this library, with its last '/'; its length, which leaves
 * room for 64 bytes more. 0: not known. */
enum { SLOT_FOLDER_SIZE = 4096 };
size_t slot_own_folder(char *path);

/* It is carried from now on, as far as what it names is found. */
void slot_wake(struct slot *slot);

/* Is there an adapter of that name beside the library? For messages about items that are wrong. */
bool slot_adapter_exists(const char *name);

/* What may have been meant by an item that matched nothing, as a part of a sentence. False: no idea. Slow, unless it was
 * gathered before. */
bool slot_hint(const struct slot *slot, char *buf, size_t n);

/* Why it is not carried, as it is now; NULL: nothing is known. */
const char *slot_reason(const struct slot *slot);

/* From now on hints are gathered where items are looked for, and at exit nothing is. */
void slots_gather_hints(void);
extern bool slots_hints_wanted, slots_hints_stale; /* stale: a library was opened since */

/* It was there all the time, and no context that was made had a value of it: nothing of it was carried. Not of what
 * `auto` has chosen, nor of state that every thread has. Asked when handoffs were seen. */
bool slot_was_empty(const struct slot *slot);

/* It was carried, and is no more: a program that deletes its key, or closes its plugin, when it is done. Such an item
 * has matched something. */
bool slot_is_done(const struct slot *slot);

/* Says which items have matched nothing, and what they may have meant. At exit, when asked for; is_required: as an error. */
void slots_say_unmatched(bool is_required);

/* The same for BATON_STRICT=require, at once: also what is refused. A key that is only not made yet is
 * not missing. Answers how many are. */
unsigned slots_say_missing(void);

/* Looks again for what is waiting. Cheap when nothing waits. Any thread; takes the resolve lock. */
void slots_resolve(void);
/* Something happened that may let a waiting slot be found (dlopen, a key was created). */
void slots_look_again(void);
extern _Atomic bool slots_stale; /* slots_resolve has something to look for */
/* How often it looks until something happens again. */
enum { SLOTS_TRIES = 64 };
extern unsigned slots_tries;

/*
 * What the slots ask of the rooms above and of the C library: the only calls of this room that go up.
 * Whoever starts the rooms fills it in before there is a second thread (init.c and context_init; the
 * unit suites); what is NULL is not asked.
 */
struct slots_calls {
    /* context: slots_stale has become true. */
    void (*stale)(void);
    /* context: something was bound or unbound. may_have_values: threads may have set values that no
     * context knows of, or contexts may hold values of an earlier binding. */
    void (*changed)(bool may_have_values);
    /* context: the C library destroys a value of a carried key at a thread's end. True: contexts still
     * refer to the value, which is destroyed later. */
    bool (*destroying)(unsigned key_index, void *value);
    /* context: the key of this key index was deleted, so nothing of it is destroyed any more. */
    void (*key_gone)(unsigned key_index);
    /* The C library's own pthread_getspecific, pthread_setspecific and pthread_key_create. */
    void *(*key_read)(pthread_key_t key);
    int (*key_write)(pthread_key_t key, const void *value);
    int (*key_create)(pthread_key_t *key, void (*destructor)(void *));
    /* observe: fills frames with the return addresses of the calling thread; set where by= or
     * BATON_STRICT asks for stacks (libunwind). */
    int (*backtrace)(void **frames, int max);
    /* Where the hooked call was made that the calling thread is in; NULL: not known. Asked once a call. */
    const void *(*caller)(void);
    /* observe: an item was bound; set where there is a live report. */
    void (*bound)(void);
    /* userhooks: does `auto` know a library or context of that name? Reads files: for messages about wrong items. */
    bool (*knows)(const char *name);
};
extern struct slots_calls slots_calls;

/*
 * Counts changes of what slots are bound to. A context's value of a slot is good only when the
 * context was built (context.epoch) when the slot was bound already (slot.since).
 */
extern _Atomic uint32_t slots_epoch;

/*
 * Copied slots, in the order of the items; `values` is slots_bytes long.
 * read: returns true when any value is set. same: what read would give now equals `values`.
 * capture: as read, but of owned slots what a context keeps; owner is the calling thread; lent and
 * from are what the innermost attach remembers and the values that it lent, NULL when there is none.
 * write (is_coroutine: on a stack that the thread may leave): every bound slot, first to last; those
 * bound later than `epoch` get their initial value. What is lent to the task is remembered behind the
 * saved values (slots_saved_bytes long).
 * restore: last to first (rule 5); if borrowed is not NULL, only slots that still hold its value.
 * now: slots_epoch when the attach began; slots that were bound later are left alone by all three.
 */
void slots_save(void *saved, uint32_t now);
bool slots_read(void *values);
/* The same where slots_are_words. */
bool slots_read_words(void *values);
bool slots_capture(void *values, const void *owner, const void *borrowed, const void *from);
bool slots_same(const void *values);
/* Where words are read without slots_read: notes which have a value, while some were never seen to have one. */
void slots_note_words(const void *values);
extern _Atomic bool slots_words_unseen;
/* Of a copied slot that is bound: in a context's copied values, it is not what a thread has that never set it. */
bool slot_is_set(const struct slot *slot, const void *values);
void slots_write(void *values, uint32_t epoch, void *saved, uint32_t now, bool is_coroutine);
void slots_restore(void *saved, const void *borrowed, uint32_t now);

/* Copied slots whose owner matters (slots/origin.h): the thread's own values, saved for an attach, go
 * aside. */
void slots_set_aside(const void *owner, const void *saved, uint32_t now);
static inline void *slot_word(const struct slot *slot, const void *values)
{
    return *(void **)(uintptr_t)((const char *)values + slot->offset);
}

/*
 * One coroutine goes, another comes; values are slots_saved_bytes long, those of one that comes from
 * slots_suspend, which moved them out of a thread.
 */
void slots_suspend(void *values, uint32_t now);
void slots_resume(void *values, uint32_t epoch);

extern void *slots_initial; /* slots_bytes: kept up to date as slots are bound */
void slots_set_initial(void);

/* Some slot's captured value is baton's own and must be let go with the context. */
extern bool slots_owns_values;
void slots_release(void *values);

/* Around fork. */
void slots_fork_lock(void);
void slots_fork_unlock(void);

extern bool slots_force; /* BATON_FORCE */

#pragma GCC visibility pop

#endif
