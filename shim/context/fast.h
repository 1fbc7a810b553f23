/*
 * The fast variants of capturing and attaching, for the few families whose cost is measured (tests/bench): each
 * does what its door does (context_capture, SCOPE_RUN, SCOPE_RUN_KEEP, scope_adopt) where that takes a
 * few instructions, and says so where it does not, so that the hook can go on by a jump to a slow half
 * that uses the doors. A new family takes the doors; this header is for a row in tests/bench/budgets.json
 * that cannot be met by them.
 *
 * Who uses what:
 *     context_try_capture, SCOPE_RUN_PLAIN      libuv work, GLib pools, libevent, GOMP, threads
 *     context_try_batch                         libuv work, GLib pools: in threads that have inherited
 *     context_take_words, SCOPE_RUN_WORDS       libuv work, GLib pools: where plain words are carried
 *     context_take_word, SCOPE_RUN_WORD         the same: where one word is carried that functions get and put (slot_word)
 *     (front_out.h)                             libuv work: where a pair of the program's functions gets and sets it
 *     SCOPE_RUN_FAST                            GOMP_parallel
 *     set_carried                               pthread_setspecific
 *     start_try_capture, START_RUN_FAST         pthread_create, thrd_create
 *     scope_try_enter, scope_may_nest and its   the trampolines of the user's functions, scope.c
 */
#ifndef BATON_CONTEXT_FAST_H
#define BATON_CONTEXT_FAST_H

#include "context/scope.h"
#include "context/thread.h"
#include "slots/moves.h"
#include "slots/kind.h"
#include "slots/words_move.h"

/* ---- capturing ---- */

/* context_capture where nothing need be called; NULL where something must. */
static inline __attribute__((always_inline)) struct context *context_try_capture(unsigned family)
{
    struct thread *thread = thread_self;

    return likely(thread_is_plain(thread)) ? context_take_bought(thread, family) : NULL;
}

/*
 * As thread_is_plain, in a process that carries plain words: an attach may be made with no scope entry, and
 * what it replaces is kept in front of the thread's block (thread_front).
 */
static inline __attribute__((always_inline)) bool thread_is_words_only(const struct thread *thread)
{
    return likely((uintptr_t)thread->attached ==
                  arch_scratch(atomic_load_explicit(&context_words_guard, memory_order_relaxed)));
}

/* In a process that carries plain words: what the attach that has no scope entry has replaced. */
static inline void *thread_front(struct thread *thread)
{
    return (char *)thread - context_before;
}

/*
 * context_capture for a thread that has inherited a context, for slow paths to try first: NULL, and nothing
 * has changed, where it cannot be had at once.
 */
static inline __attribute__((always_inline)) struct context *
context_try_batch(struct thread *thread, unsigned family)
{
    /* A mark below us may be of a frame that longjmp has left. */
    if (likely(thread->attached && thread->attached == thread->batch.attached &&
               thread->batch.refs > 0 && thread->frame_mark > arch_sp() && !thread->suppress &&
               guard_is_clear())) {
        thread->batch.refs--;
        thread->counts.carried[family]++;
        return thread->batch.context;
    }
    return NULL;
}

/* context_try_capture in a process that carries plain words. NULL: nothing has changed. */
static inline __attribute__((always_inline)) struct context *
context_take_words(struct thread *thread, unsigned shape, unsigned family)
{
    struct context *snapshot = thread->snapshot.context;

    __asm__("" : "+r"(snapshot) : "m"(thread->snapshot.refs)); /* now: see context_take_bought */
    if (unlikely(!thread_is_words_only(thread)) || thread->snapshot.refs <= 0 ||
        !words_unchanged(shape, snapshot) || !context_take_one(thread))
        return NULL;
    thread->snapshot.tally[family]++;
    if (!snapshot)
        __builtin_unreachable();
    return snapshot;
}

/* ---- one word that is got and put by functions, in each of its forms (slots/moves.h) ---- */

/* thread_is_words_only where one such word is all that is copied; the context must be of its epoch as well. */
static inline __attribute__((always_inline)) bool thread_is_word_only(const struct thread *thread)
{
    return likely((uintptr_t)thread->attached ==
                  arch_scratch(atomic_load_explicit(&context_front_guard, memory_order_relaxed)));
}

static inline bool guard_is_for_word(void)
{
    return slots_word.is_expected &&
           !(atomic_load_explicit(&context_front_guard, memory_order_relaxed) & GUARD_OFF);
}

/* The same where the word is a pair's. */
static inline bool guard_is_for_pair(void)
{
    return slots_pair.is_expected &&
           !(atomic_load_explicit(&context_front_guard, memory_order_relaxed) & GUARD_OFF);
}

/* context_take_words in such a process. NULL: nothing has changed. */
static inline __attribute__((always_inline)) struct context *
context_take_word(enum slot_word_form form, struct thread *thread, unsigned family)
{
    struct context *snapshot;
    struct slot_wide now;

    if (unlikely(!thread_is_word_only(thread) || thread->snapshot.refs <= 0 ||
                 !slot_word_is_right(thread->snapshot.context->epoch)))
        return NULL;
    now = slot_word_now(form);
    snapshot = thread->snapshot.context;
    if (unlikely(!slot_word_is(form, now, snapshot) || !context_take_one(thread)))
        return NULL;
    thread->snapshot.tally[family]++;
    if (!snapshot)
        __builtin_unreachable();
    return snapshot;
}

/* May the context be attached so on such a thread? */
static inline __attribute__((always_inline)) bool
scope_may_enter_word(enum slot_word_form form, const struct context *context)
{
    return slot_word_is_right(context->epoch) &&
           (form != WORD_NONE || likely(!*slot_word_at(context)));
}

/* What was there goes in front of the thread's block; `mark` is how the attach is known. The context is looked for last. */
#define SCOPE_ENTER_WORD(form, thread, what, mark)         \
    do {                                                   \
        struct slot_wide now_ = slot_word_now(form);       \
        struct context *entered_ = (what);                 \
                                                           \
        slot_word_keep(form, now_, thread);                \
        mark;                                              \
        SCOPE_ATTACH(thread, entered_);                    \
        if (unlikely(!slot_word_is(form, now_, entered_))) \
            slot_word_put(form, entered_);                 \
    } while (0)

/* What was not written, and is as it was, is not written back. */
static inline __attribute__((always_inline)) void scope_put_back_word(enum slot_word_form form,
                                                                      struct thread *thread)
{
    const uint64_t *at = slot_word_at(thread);
    struct slot_wide was = {{at[0], form == WORD_WIDE ? at[1] : 0}};

    if (unlikely(!slot_word_is(form, was, thread->attached) ||
                 !slot_word_is(form, slot_word_now(form), thread)))
        slot_word_put(form, thread);
}

/* ---- sets of carried keys ---- */

/* Where a context has the value of a key, by its key index and one: the word before the first is `base`. */
static inline __attribute__((always_inline)) void **key_at(struct context *context, size_t number)
{
    return (void **)(void *)&context->base + number;
}

/*
 * On a thread that has nothing attached: true, and its draft (draft.h) has the value, if the C library cannot refuse it,
 * because the thread has one of this key already. Keys with destructors never have a value in a draft.
 */
static inline __attribute__((always_inline)) bool set_try_draft(struct thread *thread,
                                                                size_t number, const void *value)
{
    struct context *draft = thread->snapshot.draft;

    if (unlikely(thread->attached || !*key_at(draft, number)))
        return false;
    *key_at(draft, number) = (void *)(uintptr_t)value;
    return true;
}

/* In a task that has set one already: its overlay has the value. `flag` says whether the C library must have it before. */
static inline __attribute__((always_inline)) bool set_is_open(const struct thread *thread,
                                                              enum context_flags flag)
{
    /* A mark below us may be of a frame that longjmp has left. */
    return likely(thread_is_attached(thread) && thread->attached->flags & flag &&
                  thread->frame_mark > arch_sp() &&
                  thread->attached->epoch ==
                      atomic_load_explicit(&slots_epoch, memory_order_acquire));
}

/* As context_set_key, of the key index number - 1: its arguments are where the hooks have them. */
int context_set_number(unsigned key, const void *value, int (*real)(unsigned, const void *),
                       size_t number);
/* In a thread of the program's that has set one already: what it sets is its own, and its overlay's. */
int context_set_open(unsigned key, const void *value, int (*real)(unsigned, const void *),
                     void **place);

/* context_set_number, first by the ways above; *real: the C library's function, which is read where it is called. */
static inline __attribute__((always_inline)) int set_carried(unsigned key, size_t number,
                                                             const void *value, void *const *real)
{
    typedef int setter(unsigned, const void *);
    struct thread *thread = thread_self;
    struct context *own;

    if (likely(set_try_draft(thread, number, value)))
        return ((setter *)*real)(key, value);
    own = thread->attached;
    if (likely(set_is_open(thread, CONTEXT_OPEN))) {
        *key_at(own, number) = (void *)(uintptr_t)value;
        return 0;
    }
    if (likely(set_is_open(thread, CONTEXT_OPEN_THREAD))) {
        if (unlikely(key / KEYS_TOGETHER != thread->set_last))
            return context_set_open(key, value, (setter *)*real, key_at(own, number));
        *key_at(own, number) = (void *)(uintptr_t)value;
        return ((setter *)*real)(key, value);
    }
    return context_set_number(key, value, (setter *)*real, number);
}

/* ---- threads that the program starts ---- */

/* start_capture (families/handoff.h) with nothing but the fast paths; NULL: start_capture must follow. */
static inline __attribute__((always_inline)) struct thread *
start_try_capture(struct thread *self, unsigned family, void *function, void *data)
{
    struct thread *thread = self->spare;
    struct context *context;

    if (unlikely(!thread || !(context = context_try_capture(family))))
        return NULL;
    self->spare = thread->next_free;
    thread->start.function = function;
    thread->start.data = data;
    thread->start.context = context;
    self->records.made++;
    return thread;
}

/* START_RUN (families/handoff.h) where the trampoline itself has seen that the attach is a fast one. */
#define START_RUN_FAST(thread, CALL)                                                          \
    do {                                                                                      \
        thread_take(thread);                                                                  \
        (thread)->records.freed++;                                                            \
        SCOPE_RUN_PLAIN((thread), (thread)->start.context, FRAME_OWNED | FRAME_THREAD, CALL); \
        thread_leave_plain(thread);                                                           \
    } while (0)

/* ---- attaching ---- */

/* SCOPE_RUN on a thread that is known to be plain (thread_is_plain was asked). */
#define SCOPE_RUN_PLAIN(self, what, flags, CALL)   \
    do {                                           \
        struct thread *plain_ = (self);            \
                                                   \
        arch_sp_store(&plain_->frame_mark, flags); \
        SCOPE_ATTACH(plain_, what);                \
        CALL;                                      \
        SCOPE_LEAVE(plain_, flags);                \
    } while (0)

/* The same on a thread that is known to carry plain words only (thread_is_words_only was asked); shape: words_move.h. */
#define SCOPE_RUN_WORDS(shape, self, what, flags, CALL)              \
    do {                                                             \
        struct thread *words_thread_ = (self);                       \
        struct context *moved_ = (what);                             \
                                                                     \
        words_attach(shape, moved_, words_thread_);                  \
        arch_sp_store(&words_thread_->frame_mark, flags);            \
        SCOPE_ATTACH(words_thread_, moved_);                         \
        CALL;                                                        \
        if (likely(arch_sp_is(&words_thread_->frame_mark, flags))) { \
            words_detach(shape, words_thread_);                      \
            SCOPE_LEFT(words_thread_, flags);                        \
        } else {                                                     \
            scope_leave_here(arch_sp());                             \
        }                                                            \
    } while (0)

/* The same where one word is got and put by functions; it was asked whether the context may be attached so, too. */
#define SCOPE_RUN_WORD(form, self, what, flags, CALL)                      \
    do {                                                                   \
        struct thread *word_thread_ = (self);                              \
                                                                           \
        SCOPE_ENTER_WORD(form, word_thread_, what,                         \
                         arch_sp_store(&word_thread_->frame_mark, flags)); \
        CALL;                                                              \
        if (likely(arch_sp_is(&word_thread_->frame_mark, flags))) {        \
            scope_put_back_word(form, word_thread_);                       \
            SCOPE_LEFT(word_thread_, flags);                               \
        } else {                                                           \
            scope_leave_here(arch_sp());                                   \
        }                                                                  \
    } while (0)

/*
 * The fast half alone, for a callback in memory that outlives it: the context is read from *holder
 * again after CALL, and SLOW (a call in tail position of a function that does the same by SCOPE_RUN)
 * is what remains. So no register is kept for the sake of a path that is not taken.
 */
#define SCOPE_RUN_FAST(holder, flags, CALL, SLOW)                                      \
    do {                                                                               \
        struct thread *after_;                                                         \
        struct context *owned_;                                                        \
                                                                                       \
        if (unlikely(!scope_try_enter(thread_self, *(holder), arch_sp() | (flags)))) { \
            SLOW;                                                                      \
            return;                                                                    \
        }                                                                              \
        CALL;                                                                          \
        after_ = thread_self;                                                          \
        owned_ = *(holder);                                                            \
        if (unlikely(!scope_try_leave(after_, owned_)))                                \
            scope_leave_slow(after_, arch_sp());                                       \
        else if ((flags)&FRAME_OWNED)                                                  \
            context_release_on(after_, owned_);                                        \
    } while (0)

/* May an attach at `sp` be a scope entry and no more: on top of one that is not stale, nothing copied? */
static inline bool scope_may_nest(const struct thread *thread, uintptr_t sp)
{
    return thread_is_attached(thread) && guard_is_clear() && thread->frame_mark > sp &&
           thread->depth < thread->entries_max;
}

static inline void scope_nest(struct thread *thread, struct context *context, uintptr_t frame_mark)
{
    struct scope_entry *entry = &thread->entries[thread->depth++];

    entry->attached = thread->attached;
    entry->frame_mark = thread->frame_mark;
    entry->saved_at = SIZE_MAX;
    entry->epoch = 0;
    thread->attached = context;
    thread->frame_mark = frame_mark | FRAME_SLOW;
}

/* The mark of an adopted context on top of what is attached: left with it, before it. */
static inline uintptr_t scope_frame_above(const struct thread *thread)
{
    return ((thread->frame_mark & ~(uintptr_t)FRAME_FLAGS) - (FRAME_FLAGS + 1)) | FRAME_ADOPTED;
}

/* Is the innermost attach one that scope_nest made? */
static inline bool scope_is_nested(const struct thread *thread)
{
    return thread->depth && thread->entries[thread->depth - 1].saved_at == SIZE_MAX &&
           !(thread->attached->flags & (CONTEXT_OVERLAY | CONTEXT_WATCHED | CONTEXT_TAGGED));
}

/* Leaves it, but for the reference that the attach may have owned. */
static inline void scope_unnest(struct thread *thread)
{
    const struct scope_entry *entry = &thread->entries[--thread->depth];

    thread->attached = entry->attached;
    thread->frame_mark = entry->frame_mark;
}

#endif
