/* A kind of slot: what it knows how to do, and what its file may ask of the others. */
#ifndef BATON_SLOTS_KIND_H
#define BATON_SLOTS_KIND_H

#include "slots/slots.h"

#pragma GCC visibility push(hidden)

struct elf_module;
struct elf_symbol;

/* A name of an item that is looked for in the modules. */
struct slot_meant {
    const char *name, *module, *file; /* module, file may be NULL */
    struct slot_name id;
    unsigned want; /* one of enum elf_want */
};
enum { SLOT_MEANT_MAX = 3 };

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

/*
 * What a kind of slot is and knows how to do: the whole contract. Calls: any thread, no lock held, must
 * keep errno. What may be NULL or false is so for most kinds.
 */
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

/* slots_watched, and the slot holds one pointer that is shared. */
static inline bool slot_is_watched(const struct slot *slot)
{
    return slots_watched && slot->key_index == SLOT_NO_KEY && slot->state == SLOT_BOUND &&
           slot->policy == POLICY_SHARE && !slot->is_cloned && slot->size == sizeof(void *) &&
           slot->kind->may_dangle;
}

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

#pragma GCC visibility pop

#endif
