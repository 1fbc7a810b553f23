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
 * struct slot_kind is all that there is to know of a kind: nobody asks which one a slot is of.
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
struct elf_module;
struct elf_symbol;

/* A name of an item that is looked for in the modules. */
struct slot_meant {
    const char *name, *module, *file; /* module, file may be NULL */
    struct slot_name id;
    unsigned want; /* one of enum elf_want */
};
enum { SLOT_MEANT_MAX = 3 };

/*
 * What a kind of slot is and knows how to do: the whole contract. Calls: any thread, no lock held, must
 * keep errno. What may be NULL or false is so for most kinds.
 */
struct slot_pair {
    uint64_t (*get)(void);
    void (*set)(uint64_t word);
};
struct slot_wide {
    uint64_t half[2];
};

struct slot_shut {
    enum sandbox_wish wish;
    uint64_t (*get)(const struct slot *slot);
    void (*put)(const struct slot *slot, uint64_t word);
};

struct slot_kind {
    /* ---- the item ---- */

    const struct slot_form *form; /* its name, its options, what messages expect of it */

    /* SHAPE_WHAT: is what stands between the colon and the first option one that makes sense?
     * SHAPE_OPTIONS: do the options, each of which is one of its own, make a whole? Only read; that
     * it exists is not asked. False: *error is filled. */
    bool (*check)(const char *at, size_t len, struct slot_error *error);

    /* Reads the item's text after "name:", without the options that are policies; may cut it into
     * pieces. An option may make it a slot of another kind (native, codec). False: *error is filled.
     * Called once, single-threaded, at start. */
    bool (*parse)(struct slot *slot, char *text, struct slot_error *error);

    /* May be NULL: the names that are looked for, at most SLOT_MEANT_MAX; how many. */
    unsigned (*names)(const struct slot *slot, struct slot_meant *meant);

    /* May be NULL: why what was found for a name must not be carried as the item says; NULL: it may.
     * Looks at the module's names only, so it is asked about files, too. */
    const char *(*reason)(const struct slot *slot, const struct elf_module *module,
                          const struct elf_symbol *symbol);

    /* ---- what it is ---- */

    bool is_key;        /* asked of every key that is made; in the overlay, if it has a key index */
    bool is_everywhere; /* kept by the C library or the kernel: there in every program */
    bool is_adapter;    /* the item names an object that carries it */
    bool
        has_setter; /* what the owner has is known by its calls of one function only: slot_setter */
    bool calls_out; /* read, write or same call what the item names: it may attach, or leave */
    bool may_dangle; /* of one pointer's size: may be a pointer that its owner frees (origin.h) */

    /* May be NULL: does it look at the stacks of threads that make keys? */
    bool (*needs_stacks)(const struct slot *slot);
    /* May be NULL: a slot with a key index that may turn out to be copied, when it is bound. */
    bool (*may_be_copied)(const struct slot *slot);
    /* May be NULL: a waiting slot that is only not made yet: nothing is wrong with its item. */
    bool (*will_come)(const struct slot *slot);
    /* May be NULL: why it waits still, where that has changed since resolve; NULL: it has not. Reads memory only. */
    const char *(*why_waiting)(const struct slot *slot);

    /* ---- finding and moving it ---- */

    /* Tries to find what the item names; sets state to SLOT_BOUND or SLOT_REFUSED (with reason) or
     * leaves it waiting. Called with the resolve lock held, never concurrently. */
    void (*resolve)(struct slot *slot);

    /* Copied slots: the calling thread's present value into `value` (slot->size bytes). False: it has
     * none (value is zeroed), which is carried as empty. */
    bool (*read)(const struct slot *slot, void *value);

    /* Copied slots: makes `value` the calling thread's present value. A setter that takes over what
     * it is given (policy move) leaves zeros in `value`. */
    void (*write)(const struct slot *slot, void *value);

    /* Copied slots, may be NULL: quicker than reading and comparing. */
    bool (*same)(const struct slot *slot, const void *value);

    /* Copied slots, may be NULL: read and write of a slot of eight bytes, which then rides in a register. */
    uint64_t (*get)(const struct slot *slot);
    void (*put)(const struct slot *slot, uint64_t word);
    /* With these, may be NULL: a function that does as get when it is given NULL, as put does; or NULL. */
    uint64_t (*(*direct)(const struct slot *slot))(const struct slot *slot);

    /* With these, may be NULL: what takes their place as long as the program's sandbox forbids what they ask of the system,
     * so that they need not look. The others look. */
    const struct slot_shut *shut;

    /* Copied slots of sixteen bytes, may be NULL: read, which then rides in two registers. */
    struct slot_wide (*get_wide)(const struct slot *slot);

    /* With these, may be NULL: the program's own functions, where get and put call them, keep errno, and do nothing
     * else. False: there is more to it; then *pair is what they may turn out to be, or as it was. */
    bool (*pair)(const struct slot *slot, struct slot_pair *pair);

    /* Copied slots, may be NULL: lets go of what read made, and zeroes it. */
    void (*release)(const struct slot *slot, void *value);

    /* Copied slots, may be NULL: the value of a thread that never set one, into zeroed memory (a TLS
     * variable has its initial image, a precision is not 0). Called after resolve has bound it. */
    void (*initial)(const struct slot *slot, void *value);

    /* Slots with policy weak, may be NULL: where the calling thread keeps the value. */
    void *const *(*place)(const struct slot *slot);

    /*
     * Kinds whose state has no value to read and write (adapters); NULL: all others. hold makes what
     * a context keeps of the calling thread's present state; lend makes it the calling thread's and
     * tells what reclaim needs to put back what was there. False: it could not; nothing changed.
     * is_thread: the thread ends, only what is still lent is put back (rule 13).
     */
    bool (*hold)(const struct slot *slot, void **owned);
    bool (*lend)(const struct slot *slot, void *owned, void **borrowed);
    void (*reclaim)(const struct slot *slot, void *borrowed, bool is_thread);
    void (*let_go)(const struct slot *slot, void *owned);

    /* With hold, may be NULL: exchanges the calling thread's whole present state for *state (NULL:
     * nothing set), for coroutines. can_exchange: whether this slot can; one that cannot is not lent
     * to coroutines: it stays the thread's, as without us. */
    bool (*can_exchange)(const struct slot *slot);
    void (*exchange)(const struct slot *slot, void **state);
};

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

/* Must the calls of the function that changes the value be seen? Then it is slot->fn.name[fn.setter]. */
static inline bool slot_watches_setter(const struct slot *slot)
{
    return slot->policy == POLICY_WEAK && slot->kind->has_setter;
}

/* A slot of the overlay that may turn out to be copied. */
static inline bool slot_may_be_copied(const struct slot *slot)
{
    return slot->kind->may_be_copied && slot->kind->may_be_copied(slot);
}

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
/* slots_watched, and the slot holds one pointer that is shared. */
static inline bool slot_is_watched(const struct slot *slot)
{
    return slots_watched && slot->key_index == SLOT_NO_KEY && slot->state == SLOT_BOUND &&
           slot->policy == POLICY_SHARE && !slot->is_cloned && slot->size == sizeof(void *) &&
           slot->kind->may_dangle;
}

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

/* ---- pthread keys: slots/key.c ---- */

enum { KEYS_MAX = 1024 }; /* PTHREAD_KEYS_MAX of glibc; keys above are never carried */

/* By key index: some context that was made had a value of it. */
extern _Atomic uint8_t keys_had_value[SLOTS_MAX] __attribute__((visibility("hidden")));

/* Told once, so that a line that others read is not written to again and again. */
static inline void key_note_value(unsigned key_index, const void *value)
{
    if (value && !atomic_load_explicit(&keys_had_value[key_index], memory_order_relaxed))
        atomic_store_explicit(&keys_had_value[key_index], 1, memory_order_relaxed);
}

/* 1 + key index of a carried key, 0 for every other: read by the hooked getspecific without a lock. */
extern uint8_t key_index_of[KEYS_MAX] __attribute__((visibility("hidden")));

struct key_binding {
    pthread_key_t key;
    bool is_bound;
    bool is_owned;              /* the slot's */
    uint32_t since;             /* slots_epoch in which this key took the key index */
    void (*destructor)(void *); /* the program's own, or NULL */
    const struct slot *slot;
};
extern struct key_binding key_bindings[SLOTS_MAX]; /* by key index */
/* A bit a key index: a key with a destructor has or had it. */
extern _Atomic uint64_t keys_destroyed[(SLOTS_MAX + 63) / 64] __attribute__((visibility("hidden")));

/*
 * Told by the hooks of key creation: before, what destructor to hand to the real function (the
 * program's, or a trampoline that asks slots_calls.destroying first); after, whether it succeeded.
 */
typedef void key_destructor(void *value);
key_destructor *key_will_create(key_destructor *destructor, int *trampoline_id);
void key_created(int trampoline_id, pthread_key_t key, const void *variable, const void *caller,
                 bool is_ok);
/* Before the real deletion; and after it, with what the first has answered. In between threads that end may call
 * the key's destructor. */
int key_will_delete(pthread_key_t key);
void key_deleted(int trampoline_id);
/* After a dlclose. */
void keys_library_unloaded(void);

/* For kinds: what was found, for the report. */
void slot_bound(struct slot *slot, const char *module, const char *symbol);
void slot_refuse(struct slot *slot, const char *reason);
/* For kinds and policies: a value could not be made or attached. */
static inline void slot_failed(const struct slot *slot)
{
    atomic_fetch_add_explicit(&((struct slot *)(uintptr_t)slot)->failures, 1, memory_order_relaxed);
}
/* The same with a reason (static text) for the report, and once for the log. */
void slot_failed_as(const struct slot *slot, const char *why);
/* Keeps the module of an address loaded for good: what we call later must not be unmapped. */
void slot_pin(const void *address);
/* For parse: notes SYMBOL[@MODULE][#FILE] (the texts stay the caller's), to be found as one of WANT
 * (bits of enum elf_want). False: too many names. */
bool slot_name_add(struct slot_name *name, const char *symbol, const char *module, const char *file,
                   unsigned want);
/* For resolve: where it is. Costs nothing while no library came or went. False: nowhere yet. */
bool slot_name_find(struct slot_name name, struct elf_search *out);
/* For messages: the name most like one that is nowhere, NAME@MODULE. Slow. */
bool slot_name_near(struct slot_name name, char *buf, size_t n);
void slot_names_fork_lock(void);
void slot_names_fork_unlock(void);
/* deny.c: why a name must not be carried (rule 20), or NULL. */
const char *slot_deny_reason(const char *name, const char *module_name);
/* Why a function of the C library must not be called around tasks: it acts on the whole process. NULL: it may. */
const char *slot_deny_function(const char *name, const char *module_name);
/* Why what is at the address that a function answers must not be carried. NULL: it may. */
const char *slot_deny_place(const char *name, const char *module_name);
extern bool slots_force; /* BATON_FORCE */

#pragma GCC visibility pop

#endif
