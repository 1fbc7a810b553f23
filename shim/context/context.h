/*
 * Contexts, threads, capture, attach, detach: the heart of baton.
 *
 * A context is an immutable, reference-counted set of slot values. The way of a value: a hook
 * captures the submitter's context, the context rides with the callback, a trampoline attaches it,
 * calls, detaches, lets go.
 *
 * Cost model (see tests/bench): while only pthread keys are carried, capture hands out a batched
 * reference to the thread's cached snapshot, attach and detach swap one pointer. Everything else
 * (copied slots, limits, nested attach, a task that set a key) takes the slow functions in
 * capture.c and scope.c; `context_guard` says which world we are in. Where plain thread-local words
 * are carried and nothing else is copied, the same steps also compare, exchange and put back words.
 * Attaching around a call is scope.h.
 */
#ifndef BATON_CONTEXT_CONTEXT_H
#define BATON_CONTEXT_CONTEXT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arch.h"

#pragma GCC visibility push(hidden)

#define likely(x) __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

enum context_flags {
    CONTEXT_EMPTY = 1,   /* no slot has a value */
    CONTEXT_COUNTED = 2, /* holds values with a destructor: counted in values.c, released at once */
    CONTEXT_OVERLAY = 4, /* belongs to one attached thread, which wrote to it; never handed out */
    CONTEXT_ONCE = 8,    /* holds a value that only one attach may consume (policy move) */
    CONTEXT_WATCHED = 16,  /* one handoff's own copy, and */
    CONTEXT_TAGGED = 32,   /* one handoff's own: observer.h */
    CONTEXT_READ = 64,     /* of an overlay: its task has read what it was given (reads.c) */
    CONTEXT_TOUCHED = 128, /* overlay: its task has set something in it, or captured from it */
    CONTEXT_OPEN = 256,    /* overlay: a set of a key of its epoch is a store, and nothing else */
    CONTEXT_OPEN_THREAD = 512, /* the same once the C library has the value, too */
    CONTEXT_WATCHED_SHIFT =
        16, /* above: of a watched copy, which process has made it (observer.h) */
};

/*
 * Ownership: `refs` counts handoffs and attaches; batched references of a thread's cached snapshot
 * are included. Everything else is written only before the context is published, except in a
 * overlay (CONTEXT_OVERLAY), which only its thread sees.
 */
struct context {
    _Atomic int64_t refs;
    uint32_t flags;
    uint32_t epoch;        /* slots_epoch when it was built */
    uint32_t hops;         /* handoffs since the chain began (BATON_MAX_HOPS) */
    uint32_t born_ms;      /* monotonic clock when the chain began, modulo 2^32 (BATON_MAX_AGE) */
    struct vars_map *vars; /* variables of the C interface (slots/variables_map.h); one reference */
    struct context
        *base;   /* overlay: the context it grew from, whose attach it serves; observer.h */
    void *key[]; /* slots_key_count pointers, in an overlay then struct overlay_part */
};
/* The copied values lie in front of it (context_copied). */

_Static_assert(offsetof(struct context, key) == offsetof(struct context, base) + sizeof(void *),
               "the hooked getspecific counts key indexes from base");

/* Why a handoff ran bare: names in report.c. */
enum bare_reason {
    BARE_MEMORY,
    BARE_TEARDOWN,
    BARE_SUPPRESSED,
    BARE_LIMIT,
    BARE_INHERIT,
    BARE_FULL,
    BARE_ERROR,
    BARE_PERIODIC, /* BATON_PERIODIC=off */
    BARE_SIGNAL,   /* raised in a signal handler where capturing is not safe */
    BARE_LAYOUT,   /* a version of the library whose insides are not known */
    BARE_REASONS
};

enum { FAMILIES_MAX = 48 };

struct record_chunk;
struct coroutines;

/*
 * What baton knows of one thread. Blocks are taken from a registry at a thread's first contact and
 * given back when the thread ends; they are never freed, so the report can add up their counters.
 * Written only by the thread that holds the block, except where noted.
 */
#define THREAD_STATE                                                                              \
    struct context                                                                                \
        *attached; /* attached context that the overlay reads, NULL: none attached;         \
                             ATTACHED_UNKNOWN in the stand-in of threads not met yet */     \
    uintptr_t frame_mark; /* stack pointer of the innermost attach | FRAME_ flags; 0 when none */ \
    struct scope_entry *entries;                                                                  \
    uint32_t entries_max;                                                                         \
    uint32_t depth;        /* scope entries in use */                                             \
    struct vars_run *runs; /* contexts of the user's that have been entered, innermost first */   \
    /* Not exchanged where nothing is copied (coroutine_switch): from here on. */                 \
    char *saved; /* stack of saved copied values, grows up */                                     \
    size_t saved_used, saved_max;

/* What to put back when an attach is left (scope.c). */
struct scope_entry {
    struct context *attached; /* to put back */
    uintptr_t frame_mark;
    size_t saved_at; /* place of the saved copied values in thread.saved; SIZE_MAX: none */
    uint64_t epoch;  /* 32 bits: slots that were bound later were not saved; and SCOPE_READ */
};
/* The attach's task has read what it was given (reads.c). Beside the epoch, which is stored anyway. */
#define SCOPE_READ ((uint64_t)1 << 32)

/* What is attached: it belongs to the stack that runs and goes aside with it (coroutine.h). */
struct thread_state {
    THREAD_STATE
};

/* The cached snapshot of the thread's own values, and the references to it in hand. */
struct thread_snapshot {
    struct context *context;
    int32_t refs;       /* 0 when there is none */
    int32_t stale_refs; /* in hand while they are not to be handed out */
    int32_t from; /* both together when what was taken of them was last told (slot_counts.h) */
    /* The same context while the thread changes it, which nobody else refers to then (draft.h): refs is 0. NO_DRAFT: it
     * is what was handed out. */
    struct context *draft;
    uint16_t
        witness;   /* of the draft: a key index that had a value when it was last looked for one */
    bool has_news; /* perhaps the first value of a key ever, or of one that was empty */
    bool is_begun; /* a set writes to it right now, and a handler may find it half done: then */
    bool is_torn;  /* what the handler has set is not in it */
    uint64_t *tally; /* counts.carried or counts.empty, whichever the snapshot counts for */
};

/* A context's memory in which every key is empty, and which is never written to. */
extern const uint64_t context_no_draft[] __attribute__((visibility("hidden")));
#define NO_DRAFT ((struct context *)(uintptr_t)context_no_draft)

static inline bool snapshot_is_draft(const struct thread_snapshot *snapshot)
{
    return snapshot->draft != NO_DRAFT;
}

/* Releases of one context that its counter has not been told of yet. */
struct thread_deferred {
    int32_t releases;
    int32_t from; /* what `releases` was when they were last told (slot_counts.h) */
    struct context *context;
};

/* References in hand for what a thread sees that has inherited a context, while `attached` is what is
 * attached (context_capture_slow). */
struct thread_batch {
    struct context *context, *attached;
    int32_t refs;
    int32_t from; /* as of the snapshot */
};

/* Handoff records (pool/record.h): handed out one after another; freed ones are only counted. */
struct thread_records {
    char *next, *end;
    uintptr_t freed_last; /* the last byte of the chunk that records were freed of; 0: of none */
    uint32_t untold;      /* records of that chunk freed here, not yet told */
    uint64_t made, freed; /* for the report; `untold` comes on top of freed */
};

/* Free slab objects at hand (pool/slab.h). */
struct thread_slab {
    void *objects;
    uint32_t count;
};

/* Free memory of contexts at hand (pool/blocks.h). */
struct thread_blocks {
    void *chain, *other;
    uint32_t count; /* in `chain` */
};

/* Contexts that the thread made and freed: they may be others'. Read by who counts. */
struct thread_contexts {
    int64_t made, gone;
};

/* The thread's own variables: one reference to the map, and the identity (variables.h; 0: none yet). */
struct thread_variables {
    struct vars_map *map;
    uint64_t id;
};

/* Caches that were let go of: begun, and told. The thread writes, a thread that counts contexts reads. */
struct thread_flushes {
    _Atomic uint32_t begun, done;
};

/* What the thread starts with: written by its creator, read once by the thread. */
struct thread_start {
    void *function, *data;
    struct context *context;
};

/* Where the thread writes what it does, while somebody watches (trace.h). Words between next and end are free. */
struct thread_trace {
    uint64_t *next, *end;
    uint64_t *open; /* the record of a run that has begun, whose end will stand in it; NULL: none */
    uint32_t
        of; /* flags of contexts whose runs are written in line, while the block is this thread's */
};
#define TRACE_OF_NOBODY UINT32_MAX

/* Handoffs by family. */
struct thread_counts {
    uint64_t carried[FAMILIES_MAX];
    uint64_t empty[FAMILIES_MAX];
    uint32_t bare[FAMILIES_MAX][BARE_REASONS];
    uint64_t read; /* attaches in which a carried key was read (reads.h) */
};

/* What rooms above keep with a block: a row each in guests.def. Whose it is says what it points to and
 * who may write it; this room only keeps the place, which starts as NULL and stays with the block. */
#define GUEST(name) GUEST_##name,
enum thread_guest {
#include "context/guests.def"
    THREAD_GUESTS
};
#undef GUEST

struct thread {
    union {
        struct {
            THREAD_STATE
        };
        struct thread_state state;
    };
    struct thread_snapshot snapshot;
    struct thread_deferred deferred;
    struct thread_batch batch;
    struct thread_records records;
    struct thread_slab slab;
    struct thread_blocks blocks;
    struct thread_contexts contexts;
    struct thread_variables variables;
    bool is_reported;    /* the counters are in the live report */
    bool is_read;        /* reads.c */
    bool has_missed;     /* a read that found nothing, of what is the thread's own (reads.c) */
    uint8_t worker;      /* strict.c */
    _Atomic int32_t tid; /* in the kernel, of the thread that has the block; 0: none (gone.c) */
    struct coroutines *coroutines; /* its stacks, once it has switched */
    struct context *spare_overlay; /* of an overlay that is no more: for the thread's next */
    struct context *lending; /* the overlay that lends (lending.h), while it is not attached */
    void *listed;            /* free blocks (pool/listed.h) */
    uint32_t set_last;       /* once an overlay is CONTEXT_OPEN_THREAD: thread_note_set */
    uint32_t suppress;       /* capture gives empty contexts while > 0 */
    uint32_t ending;         /* enum observed_end of the attach that is being left */
    uintptr_t building;      /* stack pointer of the capture that reads slots now, 0: none */
    struct context *built;   /* what it has so far */
    /* While slots are read into `saved` or written from there: it stays where it is (scope.c). */
    uintptr_t moving;                /* stack pointer of the frame that does, 0: none */
    size_t moving_from;              /* saved_used if it is left by its getters and setters */
    struct context *entered;         /* whose reference goes then, NULL: none */
    struct context *entered_overlay; /* and what goes with it */
    struct context *waiting; /* the same of an attach that waits for what is put back before it */
    void *_Atomic guests[THREAD_GUESTS];
    struct thread_trace trace;
    struct thread_flushes flushes;
    struct thread *next_all; /* registry, append only */
    struct thread *spare;    /* blocks for threads that this one starts, by next_free */
    struct thread *next_free;
    struct thread_start start;
    /* Last: where there is a live report, from here on the block lies in a page of its file (base/live.h). */
    struct thread_counts counts __attribute__((aligned(16)));
};

#define ATTACHED_UNKNOWN ((struct context *)1)

/* Some context is attached to the thread. */
static inline bool thread_is_attached(const struct thread *thread)
{
    return (uintptr_t)thread->attached > (uintptr_t)ATTACHED_UNKNOWN;
}

extern __thread struct thread *thread_self
    __attribute__((tls_model("initial-exec"), visibility("hidden")));
extern struct thread thread_unknown;

/* The calling thread's block, taken from the registry if need be; NULL when there is no memory. */
struct thread *thread_enter(void);
/* The calling thread has taken the block: an ordinary store. */
static inline __attribute__((always_inline)) void thread_take(struct thread *thread)
{
    atomic_store_explicit(&thread->tid, arch_tid(), memory_order_relaxed);
    thread_self = thread;
}

/* Gives back what the thread caches and its block; called at the end of threads that we started. */
void thread_leave(struct thread *thread);
/* The same of one that has nothing attached, where nothing is copied. */
void thread_leave_plain(struct thread *thread);
/* Has this process handed anything over, with a context or bare? */
bool context_was_used(void);
/* Calls visit for every block ever used. */
/* False: this thread may have been interrupted in the middle of a start, and thread_each would wait for it. */
bool thread_may_each(void);
void thread_each(void (*visit)(struct thread *thread, void *arg), void *arg);

/*
 * Not zero: the fast paths do not hold and everything goes through the slow functions.
 * GUARD_EPOCH: a key index changed its key while contexts exist. GUARD_TEARDOWN: exit has begun.
 * GUARD_STALE: slots that wait may be found now.
 */
enum {
    GUARD_COPIED = 2,
    GUARD_EPOCH = 4,
    GUARD_TEARDOWN = 16,
    GUARD_OBSERVED = 32,
    GUARD_OFF = 64,
    GUARD_STALE = 128,
    GUARD_WORDS =
        256, /* in place of GUARD_COPIED: all that is copied is plain words (words_move.h) */
    GUARD_COUNTED = 512, /* of the two of repeating callbacks and starts alone, see there */
};
extern _Atomic uintptr_t context_guard __attribute__((visibility("hidden")));
/* The same but for GUARD_WORDS, which is turned round: 0 where nothing but words is in the way. */
extern _Atomic uintptr_t context_words_guard __attribute__((visibility("hidden")));
/* The same as context_guard for repeating callbacks and for threads that start, with GUARD_COUNTED where their runs are
 * counted; and, for threads, where they may be cancelled. */
extern _Atomic uintptr_t context_keep_guard __attribute__((visibility("hidden")));
extern _Atomic uintptr_t context_start_guard __attribute__((visibility("hidden")));
/* The same with GUARD_COPIED turned round, and without GUARD_EPOCH, because who uses it compares the epoch: 0 where nothing
 * but copied slots is in the way, and thread_front is for them. */
extern _Atomic uintptr_t context_front_guard __attribute__((visibility("hidden")));
/* The same with GUARD_OBSERVED turned round: 0 where nothing but an observer is in the way. */
extern _Atomic uintptr_t context_watched_guard __attribute__((visibility("hidden")));
/* Sets bits of all; the words' bit is set once, before any capture. */
void guard_raise(uintptr_t bits);
/* There may be somebody now who cancels threads: those that start from now on say at once that they will end. */
void guard_note_cancel(void);

/*
 * The fast paths hold on this thread: it is known, has nothing attached, and the guard is clear.
 * One comparison: the guard is 0 or an even number below any address, attached is NULL, 1, or an address.
 */
static inline __attribute__((always_inline)) bool thread_is_plain(const struct thread *thread)
{
    return likely((uintptr_t)thread->attached ==
                  arch_scratch(atomic_load_explicit(&context_guard, memory_order_relaxed)));
}

/* The same, and runs that give no reference back are not counted (slot_counts.h). */
static inline __attribute__((always_inline)) bool thread_is_uncounted(const struct thread *thread)
{
    return likely((uintptr_t)thread->attached ==
                  arch_scratch(atomic_load_explicit(&context_keep_guard, memory_order_relaxed)));
}

/* The same of a thread that starts: it need not say at once that it will end (thread.h), either. */
static inline __attribute__((always_inline)) bool thread_starts_plainly(const struct thread *thread)
{
    return likely((uintptr_t)thread->attached ==
                  arch_scratch(atomic_load_explicit(&context_start_guard, memory_order_relaxed)));
}

/* Plain words are carried, and nothing else is copied. */
static inline bool guard_is_for_words(void)
{
    return atomic_load_explicit(&context_guard, memory_order_relaxed) & GUARD_WORDS;
}

/* Bytes of copied values, a multiple of 16. They end where their context begins. */
extern size_t context_before __attribute__((visibility("hidden")));

static inline void *context_copied(const struct context *context)
{
    return (char *)(uintptr_t)context - context_before;
}

static inline bool guard_is_clear(void)
{
    return likely(atomic_load_explicit(&context_guard, memory_order_relaxed) == 0);
}

/* Sets up sizes and guard from the slots; before any capture. */
void context_init(uint32_t max_age_ms, uint32_t max_hops);

/* Low bits of thread.frame_mark: what the innermost attach is. */
enum {
    FRAME_OWNED =
        1, /* the attach owns a reference and lets it go when it is left, however that happens */
    FRAME_THREAD = 2, /* lasts as long as the thread: what the thread sets is its own */
    FRAME_KEEP = 4,   /* repeating: what the callback sets goes to its next run */
    FRAME_SLOW = 8,   /* has a scope entry, or an overlay: to be left by scope_leave_slow */
    FRAME_ADOPTED =
        FRAME_OWNED |
        FRAME_KEEP, /* no frame's: stays until scope_leave_adopted, or the scope around it is left */
    FRAME_FLAGS = 15, /* the stack pointer is a multiple of 16 where functions are called */
};

/* The mark of an adopted context on a thread that has no other attach: no frame is above it. */
#define SCOPE_FRAME_ADOPTED ((UINTPTR_MAX & ~(uintptr_t)FRAME_FLAGS) | FRAME_ADOPTED)

/* The fast paths in line will never hold: hooks may go to the ways behind them at once. */
extern bool context_captures_by_ways, context_attaches_by_ways;

/* ---- capture and release ---- */

struct context *context_capture_slow(unsigned family);
void context_release_slow(struct thread *thread, struct context *context);

/* Where a signal handler may have come since there was a reference at hand. False: it has taken them away. */
static inline __attribute__((always_inline)) bool context_take_one(struct thread *thread)
{
    if (likely(arch_take_one(&thread->snapshot.refs)))
        return true;
    thread->snapshot.refs = 0;
    return false;
}

/*
 * Of the captures in line: one of the references that a plain thread has bought to its snapshot; NULL: it has none.
 * Which snapshot that is is read first: a handler that sets a key takes the references away, and what there is then is its
 * draft, of which none are to be had.
 */
static inline __attribute__((always_inline)) struct context *
context_take_bought(struct thread *thread, unsigned family)
{
    struct context *snapshot = thread->snapshot.context;

    __asm__("" : "+r"(snapshot) : "m"(thread->snapshot.refs)); /* now */
    if (unlikely(!context_take_one(thread)))
        return NULL;
    thread->snapshot.tally[family]++;
    if (!snapshot) /* refs > 0 says so; the compiler cannot know */
        __builtin_unreachable();
    return snapshot;
}

/*
 * A reference to the calling thread's present context, for one handoff of `family`; counted.
 * NULL: nothing can be carried (out of memory, teardown), run the task bare; that is counted too.
 * Any thread; not in a signal handler (context_capture_signal is for that).
 */
static inline struct context *context_capture(unsigned family)
{
    struct thread *thread = thread_self;
    struct context *context = likely(thread_is_plain(thread)) ? context_take_bought(thread, family)
                                                              : NULL;

    return likely(context != NULL) ? context : context_capture_slow(family);
}

/* As context_capture, but only if it can be done with one atomic operation and nothing else; for
 * functions that a signal handler may call. NULL otherwise. */
struct context *context_capture_signal(unsigned family);
/* Lets such a reference go again, by the thread that took it, which still has another. */
void context_unref_signal(struct context *context);
/* In a signal handler nothing could be captured. */
void context_count_bare_signal(unsigned family);

/* One more reference to a context that the caller has a reference to. */
struct context *context_ref(struct context *context);

/*
 * Lets one reference go. Releases are told to the counter in batches: `deferred` of the thread. The
 * last one frees the context and runs the destructors of values that waited for it.
 */
static inline __attribute__((always_inline)) void context_release_on(struct thread *thread,
                                                                     struct context *context)
{
    if (unlikely(context != thread->deferred.context || --thread->deferred.releases == 0))
        context_release_slow(thread, context);
}

void context_free(struct context *context);

/* Handoffs are counted by slot (slot_counts.h), so who has run something in a context is told from who has not. */
extern bool slot_counts_on __attribute__((visibility("hidden")));
void slot_counts_ran(struct thread *thread, const struct context *context);
void context_discard(struct context *context);

/* The same at once, where a thread ends and has nothing to batch with. */
static inline __attribute__((always_inline)) void context_release_now(struct context *context)
{
    if (unlikely(atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) == 1))
        context_free(context);
}

/* Of whoever lets go without having run a task in it; SCOPE_LEFT is who has. */
static inline void context_release(struct context *context)
{
    if (unlikely(slot_counts_on))
        context_discard(context);
    else
        context_release_on(thread_self, context);
}

/* The capture that is being made is left by whatever its getters did: lets go of what it has. */
void context_abandon(struct thread *thread);

/*
 * A reference to a context of what the thread sees now, not counted as a handoff: for callbacks that
 * run in the thread's own values and shall leave no trace. NULL: no memory, or exit has begun.
 */
struct context *context_here(void);

/* There is a BATON_MAX_AGE; set before any capture. */
extern bool context_may_be_old __attribute__((visibility("hidden")));
/* Whether a context that is about to run once more has passed it. */
bool context_is_too_old(const struct context *context);

/* Uncounts a capture whose submit failed, and lets it go. */
void context_rollback(unsigned family, struct context *context);

/* Counts a handoff that runs without a context. */
void context_count_bare(unsigned family, enum bare_reason reason);

/* The empty context: every slot empty. Never freed. */
extern struct context *context_empty;

/* ---- keys under the overlay: for the hooks in families/posix/keys.c ---- */

/* The value of a key index as the thread, which is the calling one, sees it now. */
void *context_get_key(const struct thread *thread, unsigned key_index);
/* pthread_getspecific of a carried key in an attached thread, when context_reads_slow is not 0: GUARD_EPOCH is set,
 * or reads are counted. */
void *context_read_key(unsigned key_index);
extern _Atomic uint8_t context_reads_slow __attribute__((visibility("hidden")));

/* pthread_setspecific of a carried key; real: the C library's. Returns what real would. */
int context_set_key(unsigned key, unsigned key_index, const void *value,
                    int (*real)(unsigned, const void *));

/* ---- counts ---- */

/* Contexts not yet freed, without context_empty: of threads that are not known, and once what those with a block have
 * made and freed is added (thread.contexts). */
extern _Atomic int64_t context_alive;
int64_t context_count_made(void);
/* Contexts that something other than caches still refers to; exact when no other thread runs. */
int64_t context_count_alive(void);
extern bool context_is_forked; /* a child: it counts from zero, and may let go of what it found */

void context_fork_lock(void);
void context_fork_unlock(bool is_child);

#pragma GCC visibility pop

#endif
