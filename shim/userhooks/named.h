/*
 * Functions that the user names: hooks, the thunks in front of them, what their tasks are kept in.
 *
 * A *hook* is one item of BATON_HOOKS; it may stand for several functions. A *thunk* is one place of
 * the bank: which hook, which real function behind it. Thunk i has an entry (no frame) and a wrap (sees
 * the return). The first ones are *rows*: one a function, those of the plan in its order, so that a
 * generated object can name them before this library has started; the rest are given out as copies of
 * functions and callbacks are met, and taken back only when their function is unloaded: somebody may
 * still call them.
 *
 * Files *_gpr.c are compiled without vector registers and call nothing but each other until they
 * are told that they may be slow.
 */
#ifndef BATON_USERHOOKS_NAMED_H
#define BATON_USERHOOKS_NAMED_H

#include <stdatomic.h>

#include "base/config.h"
#include "context/context.h"
#include "userhooks/plan.h"
#include "userhooks/spec.h"

struct thunk_frame;

enum named_state { HOOK_UNMATCHED, HOOK_HOOKED, HOOK_REFUSED };

struct named_hook {
    struct named_spec spec;
    enum named_state state;
    enum named_how by;  /* HOW_SYMBOL, HOW_GOT, HOW_PATCH once hooked */
    unsigned functions; /* that it stands for, and that are hooked */
    unsigned refused, told,
        missing; /* of them: not hooked; of these, said by baton run; not there */
    const char *first_refused;
    unsigned places;               /* pointers, exported jumps or patched entries that lead to us */
    struct named_virtual *shadows; /* virtual; NULL: there is no memory for it */
    _Atomic uint8_t callback_at; /* call: cbarg=, until callbacks are found to have it elsewhere */
    unsigned callback; /* call, stdfunction: the thunk that callbacks run through; 0: none */
    char where[96];
    char reason[160];
    unsigned index;                           /* in named_hooks */
    _Atomic uint64_t fired, carried, evicted; /* the first two: see tally.h */
    atomic_bool has_no_place; /* the bank was full when a copy of the function was met */
    atomic_uint
        missing_record; /* 1 + where a callback's record was found instead of at cbarg; 1: nowhere */
    atomic_bool has_run_again; /* a callback that was to run once */
    _Atomic(void *const *)
        libcxx;             /* stdfunction of libc++: the vtable of its nodes; NULL: of libstdc++ */
    atomic_bool is_gnu;     /* stdfunction: one of libstdc++ was met */
    _Atomic uint8_t belief; /* enum named_belief */
    atomic_bool has_place;  /* a callback of it had what is ours where cbarg= says */
    atomic_bool has_met;    /* a callback of it met what was handed over */
    atomic_bool has_missed; /* or did not */
    _Atomic uint64_t unmet; /* calls and callbacks that had nothing where its item says */
};
/* Whether calls of it had what its positions name: none yet, one did of the only function that it stands for, or each of
 * its functions is believed by itself (struct thunk, is_right). */
enum named_belief { BELIEF_NONE, BELIEF_ITEM, BELIEF_EACH };
extern struct named_hook *named_hooks;
extern unsigned named_count;

static inline unsigned named_callback_at(const struct named_hook *hook)
{
    return atomic_load_explicit(&hook->callback_at, memory_order_relaxed);
}

enum thunk_role {
    THUNK_FUNCTION,
    THUNK_CALL,
    THUNK_REPEAT,
    THUNK_PROBE, /* call, repeat, until the item is believed: of one call of the function (probe.c) */
    THUNK_TRIED, /* and of one callback */
    THUNK_FIELD,
    THUNK_STDFUNCTION,
    THUNK_VIRTUAL
};

enum { THUNKS = 2048 };

struct probe;

struct thunk {
    struct named_hook *hook;  /* NULL: passes through */
    _Atomic(void *) original; /* NULL: the caller decides, or it is not known yet */
    const char *name;         /* row: of the function */
    uint8_t role;             /* enum thunk_role; thunks_ARCH.S know where it is */
    uint8_t by;               /* row: enum named_how once hooked */
    bool is_refused;
    bool
        is_open; /* row, by symbol: its library is not there yet, the caller decides which copy is meant */
    bool is_wanted;         /* row: to be looked for among the pointers */
    atomic_bool is_right;   /* a call of it had what its item's positions name */
    uint16_t next;          /* row: of the same hash; 0: the last */
    _Atomic uint8_t fault;  /* the first of enum named_fault */
    _Atomic uint8_t probes; /* calls of it that were tried (probe.c) */
    /* kind=call without repeat, once calls of it are believed, and it is known what is behind it: */
    uint8_t fn, arg;               /* those of its item */
    uint32_t count_at;             /* where a thread counts for its item, in bytes (tally.h) */
    _Atomic(struct probe *) probe; /* THUNK_PROBE, THUNK_TRIED */
    _Atomic(void *) instead; /* what the function gets in place of its callback; NULL: none yet */
};
extern struct thunk thunks[THUNKS];
extern _Atomic unsigned thunks_used; /* the next one to give out */
extern unsigned thunks_rows_end;     /* the first that is no row */

/* The thunk for (hook, role, original), a new one if need be; 0: the bank is full. */
unsigned thunk_take(struct named_hook *hook, enum thunk_role role, void *original);
/* One that nobody else gets, for the probe, while there are enough left for others; 0: there are not. */
unsigned thunk_take_probe(struct named_hook *hook, void *original, struct probe *probe);
void thunk_fork_lock(void);
void thunk_fork_unlock(void);

/* Reads the settings; before anything is hooked. Errors are told and counted. ENVIRONMENT stays. */
void named_read(struct config *config, char **environment);
/* Finds and hooks what can be; carrying has been set up. */
void named_init(void);
/* Something was loaded: look again. For interpose/loader.c. */
void named_look_again(void);
/* The calling thread lets go of what it has taken out of a queue: at exit. */
void named_let_go(void);
extern bool named_periodic; /* BATON_PERIODIC */
/* For the report: why it is not hooked, or that it never fired; "" when all is well. */
const char *named_reason(const struct named_hook *hook);
/* Says which are not hooked, of a preset only if none of it is; answers how many. */
unsigned named_say_missing(void);
/* At exit, when asked for: which matched nothing, or never fired; with BATON_STRICT also which were wrong. */
extern bool named_is_strict;
void named_say_idle(void);
/* queue.c: a drop or ref function was called, with or without the item. Slow. */
void queue_call(struct named_hook *hook, uintptr_t queue, uintptr_t item);
void queue_fork_lock(void);
void queue_fork_unlock(void);
/* A callback met no record where cbarg says; it came at POSITION, 0: nowhere. Slow: says so, once, and looks there then. */
void named_record_missing(struct named_hook *hook, unsigned position);
/* A callback of the function OF did not get what arg= says: said, and nothing more of it is handed over. Slow. */
void named_data_missing(struct thunk *of);

/* What a position of its item turns out not to be. */
enum named_fault {
    FAULT_NONE,
    FAULT_FUNCTION,
    FAULT_FIELD,
    FAULT_OBJECT,
    FAULT_CALLABLE,
    FAULT_VIRTUAL,
    FAULT_POINTER,
    FAULT_DATA
};
/* Says it once a function; the other counts, too. Slow. */
void named_say_fault(struct thunk *thunk, enum named_fault fault);
void named_found_fault(struct thunk *thunk, enum named_fault fault);

/*
 * The positions of an item are believed of a function once a call of it had what they name: until then it is looked at,
 * with nothing read that may not be (suspect.c). Slow; false: it was said, and nothing may be changed.
 */
bool named_has_function(struct thunk *thunk,
                        const void *address); /* says nothing of its data: probe.c */
bool named_has_field(struct thunk *thunk, uintptr_t object);
/* These are said, and for the caller to count: may a pointer be read there? And all of the list, of MOST at most? */
bool named_has_pointer(struct thunk *thunk, uintptr_t place);
bool named_has_list(struct thunk *thunk, uintptr_t object, unsigned most);
/* May SIZE bytes there be an object's, and be read? Text's, which may begin anywhere? Is it code? */
bool suspect_is_object(uintptr_t object, size_t size);
bool suspect_is_text(uintptr_t text, size_t size);
bool suspect_is_code(const void *address);

/* Overloads that one pattern names have their arguments at other places. Quick where the item has one function. */
static inline bool named_is_right(const struct named_hook *hook, const struct thunk *thunk)
{
    return likely(atomic_load_explicit(&hook->belief, memory_order_relaxed) == BELIEF_ITEM) ||
           atomic_load_explicit(&thunk->is_right, memory_order_relaxed);
}

static inline void named_found_right(struct named_hook *hook, struct thunk *thunk)
{
    uint8_t none = BELIEF_NONE;

    if (named_is_right(hook, thunk))
        return;
    atomic_store_explicit(&thunk->is_right, true, memory_order_relaxed);
    atomic_compare_exchange_strong(&hook->belief, &none, BELIEF_ITEM);
}

/* kind=field: is it one of those objects that the item leaves alone? */
static inline bool named_leaves_alone(const struct named_hook *hook, uintptr_t object)
{
    return hook->spec.unless &&
           (*(const uint32_t *)(object + hook->spec.unless_at) & hook->spec.unless) != 0;
}

/* A callback of the hook's own met what was handed over, or did not. Quick. */
static inline void named_met(struct named_hook *hook)
{
    if (!atomic_load_explicit(&hook->has_met, memory_order_relaxed))
        atomic_store_explicit(&hook->has_met, true, memory_order_relaxed);
}

static inline void named_unmet(struct named_hook *hook)
{
    atomic_fetch_add_explicit(&hook->unmet, 1, memory_order_relaxed);
}

static inline void named_missed(struct named_hook *hook)
{
    named_unmet(hook);
    if (!atomic_load_explicit(&hook->has_missed, memory_order_relaxed))
        atomic_store_explicit(&hook->has_missed, true, memory_order_relaxed);
}

/* Slow: says so, once. */
void named_ran_again(struct named_hook *hook);
void named_fork_lock(void);
void named_fork_unlock(bool is_child);

/* The real function behind a thunk as `caller` would reach it. Slow. Never NULL. */
void *named_original(unsigned index, const void *caller);

/* ---- table_gpr.c: objects in flight, by their address ---- */

enum table_answer { TABLE_DONE, TABLE_SLOW, TABLE_FULL };

struct table_key {
    uintptr_t object, queue; /* queue 0: of no queue in particular */
    uint32_t pair;
};

/* Among the same objects: replace the one that waits, wait behind it, or before it. */
enum table_order { TABLE_REPLACE, TABLE_LAST, TABLE_FIRST };

/*
 * Remembers context for the key. In *old: a context that it replaced or pushed out, which the
 * caller lets go and counts. TABLE_SLOW: nothing done, needs may_be_slow. TABLE_FULL: nothing done,
 * there is no room (or this thread is in the table already, under a signal handler).
 */
enum table_answer table_put(const struct table_key *key, struct context *context,
                            enum table_order order, bool may_be_slow, struct context **old);
bool table_has(const struct table_key *key);
/* Takes the first one out; NULL: there is none. Never slow. */
struct context *table_take(const struct table_key *key);
/* The first one, which stays; the caller gets a reference of its own. */
struct context *table_look(const struct table_key *key);
/* Takes the last one out, or the last that has this context (unless NULL). */
struct context *table_take_last(const struct table_key *key, const struct context *context);
/* Takes out up to n of what is in the key's queue, whatever the object. */
size_t table_take_queue(const struct table_key *key, struct context **contexts, size_t n);
void table_fork_lock(void);
void table_fork_unlock(bool is_child);

#endif
