/*
 * Capturing where the fast path does not hold, and the counts of handoffs.
 *
 * Rules: nothing here allocates from the program, prints, or changes errno; slot functions (getters)
 * are foreign code and are called with no lock held.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "context/dangling.h"
#include "context/draft.h"
#include "context/fast.h"
#include "context/front_out.h"
#include "context/internal.h"
#include "context/observer.h"
#include "context/slot_counts.h"
#include "context/thread.h"
#include "context/unwind.h"
#include "context/variables.h"
#include "slots/moves.h"
#include "slots/policy.h"
#include "slots/keys.h"
#include "slots/slots.h"

/*
 * Of interest to captures only: no guard, so that attaches are what they are without. A thread's references to
 * its snapshot are all stale_refs then, and who captures by those that are not comes here.
 */
static uint32_t limit_age_ms, limit_hops;
static bool has_limits;

void capture_set_limits(uint32_t max_age_ms, uint32_t max_hops)
{
    limit_age_ms = max_age_ms;
    limit_hops = max_hops;
    has_limits = max_age_ms || max_hops;
    context_may_be_old = max_age_ms != 0;
}

static uint32_t now_ms(void)
{
    struct timespec now = clock_read(CLOCK_MONOTONIC_COARSE);

    return (uint32_t)now.tv_sec * 1000 + (uint32_t)now.tv_nsec / 1000000;
}

/* A chain that begins here and now: what the thread captured before in this tick of the clock serves again. */
static inline bool is_beginning(const struct context *context)
{
    return context->hops == 1 && (!limit_age_ms || context->born_ms == now_ms());
}

/* context_of_thread finds the references where they are without limits. */
static struct context *of_thread_within_limits(struct thread *thread)
{
    if (!snapshot_is_draft(&thread->snapshot)) {
        thread->snapshot.refs += thread->snapshot.stale_refs;
        thread->snapshot.stale_refs = 0;
    }
    return context_of_thread(thread);
}

static void keep_within_limits(struct thread *thread)
{
    thread->snapshot.stale_refs += thread->snapshot.refs;
    thread->snapshot.refs = 0;
}

/* Past a limit the chain ends: the task runs with empty slots (rule A11). */
static struct context *apply_limits(struct thread *thread, struct context *context, unsigned family)
{
    const struct context *from = thread->attached;
    struct context *limited;

    if (from && from->flags & CONTEXT_OVERLAY)
        from = from->base;
    if (from && ((limit_hops && from->hops >= limit_hops) ||
                 (limit_age_ms && from->hops && now_ms() - from->born_ms > limit_age_ms))) {
        context_put(context, 1);
        thread->counts.bare[family][BARE_LIMIT]++;
        return context_empty;
    }
    if (context == context_empty)
        return context;
    if (!from && context == thread->snapshot.context) {
        if (is_beginning(context) || !(limited = context_build(thread, REFS_BATCH + 1)))
            return context;
        context_put(context, 1);
        thread->snapshot.from--; /* nobody got it */
        context_keep_snapshot(thread, limited);
        thread->snapshot.refs--;
        limited->hops = 1;
        limited->born_ms = now_ms();
        return limited;
    }
    limited = context_build(thread, 1); /* hops and age are the chain's own: not shareable */
    if (!limited)
        return context;
    limited->hops = from ? from->hops + 1 : 1;
    limited->born_ms = from && from->hops ? from->born_ms : now_ms();
    context_put(context, 1);
    return limited;
}

/* The thread's snapshot, where copied slots are all that is in the way of the fast path, and are what they were. */
static inline struct context *take_moving(struct thread *thread, unsigned family)
{
    const struct slot_moves *moves = atomic_load_explicit(&slots_moves, memory_order_acquire);
    struct context *snapshot = thread->snapshot.context;

    if (unlikely(!moves || thread->attached || thread->snapshot.refs <= 0 ||
                 !front_is_right(moves, snapshot->epoch) || !guard_allows_short_ways()))
        return NULL;
    if (likely(moves->is_one_word) ? !moves_same_word(moves, snapshot)
                                   : !moves_same(moves, context_copied(snapshot)))
        return NULL;
    if (unlikely(!context_take_one(thread)))
        return NULL;
    thread->snapshot.tally[family]++;
    return snapshot;
}

/* A handler that sets a key has come since there was a reference at hand: was it there before the reference was taken?
 * Then it has none of what it was looked at for. */
static APART bool is_taken_from_draft(struct thread *thread, const struct context *snapshot)
{
    if (thread->snapshot.context == snapshot) /* nobody had a reference: the draft is made of it */
        return true;
    /* Else it is a copy's, which is handed out to nobody before it has ended. */
    return thread->snapshot.stale_refs < thread->snapshot.from;
}

/* The same where a limit is all that is in the way. */
static inline struct context *take_limited(struct thread *thread, unsigned family)
{
    struct context *snapshot = thread->snapshot.context;

    __asm__("" : "+r"(snapshot) : "m"(thread->snapshot.stale_refs)); /* as context_take_bought */
    /* As in line: what the snapshot is not right about has taken the references away. */
    if (unlikely(!thread_is_plain(thread) || thread->snapshot.stale_refs <= 0 ||
                 snapshot_is_draft(&thread->snapshot) || snapshot->hops != 1 ||
                 (limit_age_ms && now_ms() != snapshot->born_ms)))
        return NULL;
    if (unlikely(!arch_take_one(&thread->snapshot.stale_refs))) {
        thread->snapshot.stale_refs = 0; /* there is no snapshot any more */
        return NULL;
    }
    atomic_signal_fence(memory_order_seq_cst);
    if (unlikely(snapshot_is_draft(&thread->snapshot)) && is_taken_from_draft(thread, snapshot)) {
        thread->snapshot.stale_refs++;
        return NULL;
    }
    thread->snapshot.tally[family]++;
    return snapshot;
}

/* The snapshot has what would be held now. What is not bound it has no value of. */
static inline bool held_are_same(const struct context *snapshot)
{
    for (const struct policy_held *held = policies_held, *end = held + policies_held_count;
         held < end; held++) {
        const struct key_binding *binding = &key_bindings[held->key_index];
        void *owned = snapshot->key[held->key_index],
             *value = likely(binding->is_bound) ? slots_calls.key_read(binding->key) : NULL;

        if (likely(held->policy == POLICY_REF) || !owned || !value) {
            if (owned != value)
                return false;
        } else if (!policy_same(held->slot, owned, value)) {
            return false;
        }
    }
    return true;
}

/* The same where values are held for a handoff, and are what they were. */
static inline struct context *take_held(struct thread *thread, unsigned family)
{
    struct context *snapshot = thread->snapshot.context;

    if (unlikely(((uintptr_t)thread->attached | (uintptr_t)thread->runs | thread->building |
                  thread->suppress) != 0 ||
                 thread->snapshot.refs <= 0 || !guard_allows_short_ways() ||
                 snapshot->epoch != atomic_load_explicit(&slots_epoch, memory_order_relaxed) ||
                 !coroutine_is_main_stack(thread) || !held_are_same(snapshot)))
        return NULL;
    if (unlikely(!context_take_one(thread)))
        return NULL;
    thread->snapshot.tally[family]++;
    return snapshot;
}

/* sp: of whoever captures; frames below it are left. */
static APART struct context *capture_any(unsigned family, uintptr_t sp)
{
    struct thread *thread = thread_self;
    uintptr_t guard;
    struct context *context;

    if (!slots_always_build && ((context = context_take_words(thread, 0, family)) ||
                                (context = context_try_batch(thread, family))))
        return context;
    thread = thread_enter();
    guard = atomic_load_explicit(&context_guard, memory_order_acquire);
    if (!thread)
        return NULL;
    if (guard & (GUARD_TEARDOWN | GUARD_OFF)) {
        thread->counts.bare[family][BARE_TEARDOWN]++;
        return NULL;
    }
    if (thread->building && arch_sp() < thread->building) { /* a getter or an adapter hands over */
        thread->counts.bare[family][BARE_ERROR]++;
        return NULL;
    }
    if (thread->runs)
        vars_drop_stale(thread, arch_sp());
    if (thread->attached)
        scope_drop_stale(thread, sp);
    if (guard & GUARD_STALE)
        context_look_again();
    if (thread->suppress) {
        thread->counts.bare[family][BARE_SUPPRESSED]++;
        return context_empty;
    }
    context = thread->attached ? context_of_task(thread)
              : has_limits     ? of_thread_within_limits(thread)
                               : context_of_thread(thread);
    if (context && has_limits)
        context = apply_limits(thread, context, family);
    if (has_limits && !thread->attached)
        keep_within_limits(thread);
    if (!context) {
        thread->counts.bare[family][BARE_MEMORY]++;
        return NULL;
    }
    if (thread->attached && !guard && !has_limits)
        context_fill_batch(thread, context);
    if (unlikely(slot_counts_on) && (thread->attached || context != thread->snapshot.context))
        slot_counts_add(thread, context, 1, 0);
    if (context->flags & CONTEXT_EMPTY)
        thread->counts.empty[family]++;
    else
        thread->counts.carried[family]++;
    return guard & GUARD_OBSERVED ? observer->capture(thread, context, family) : context;
}

/* A way each, so that none keeps registers for another's sake. */
static APART struct context *capture_by_moves(unsigned family, uintptr_t sp)
{
    struct context *context = take_moving(thread_self, family);

    return likely(context != NULL) ? context : capture_any(family, sp);
}

static APART struct context *capture_word(unsigned family, uintptr_t sp)
{
    struct context *context = context_take_word(WORD_ONE, thread_self, family);

    return likely(context != NULL) ? context : capture_by_moves(family, sp);
}

static APART struct context *capture_wide(unsigned family, uintptr_t sp)
{
    struct context *context = context_take_word(WORD_WIDE, thread_self, family);

    return likely(context != NULL) ? context : capture_by_moves(family, sp);
}

static APART struct context *capture_none(unsigned family, uintptr_t sp)
{
    struct context *context = context_take_word(WORD_NONE, thread_self, family);

    return likely(context != NULL) ? context : capture_any(family, sp);
}

static struct context *(*way_of_word(void))(unsigned family, uintptr_t sp)
{
    return slots_word.form == WORD_ONE    ? capture_word
           : slots_word.form == WORD_WIDE ? capture_wide
                                          : capture_none;
}

/* Where getters are the program's, which may hand over, attach, and leave. */
static GUARDED struct context *capture_calling_out(unsigned family, uintptr_t sp)
{
    GUARDED_FRAME_BY(baton_build_personality);
    struct thread *thread = thread_self;
    struct context *snapshot = thread->snapshot.context;
    const struct slot_moves *moves = atomic_load_explicit(&slots_moves_out, memory_order_acquire);
    int saved_errno;
    bool is_same;

    if (unlikely(!front_is_free(thread) ||
                 ((uintptr_t)thread->runs | thread->building | thread->suppress) != 0 ||
                 thread->snapshot.refs <= 0 || !front_is_right(moves, snapshot->epoch) ||
                 !coroutine_is_main_stack(thread)))
        return capture_any(family, sp);
    saved_errno = errno;
    thread->building = arch_sp();
    is_same = moves_same_out(moves, snapshot);
    thread->building = 0;
    errno = saved_errno;
    if (unlikely(!is_same || snapshot != thread->snapshot.context || thread->snapshot.refs <= 0 ||
                 !context_take_one(thread)))
        return capture_any(family, sp);
    thread->snapshot.tally[family]++;
    return snapshot;
}

/* The same where a pair is all that is copied. */
static GUARDED struct context *capture_pair(unsigned family, uintptr_t sp)
{
    GUARDED_FRAME_BY(baton_build_personality);
    struct thread *thread = thread_self;
    struct context *snapshot;
    int saved_errno;
    uint64_t word;

    if (unlikely(!front_is_free(thread) ||
                 ((uintptr_t)thread->runs | thread->building | thread->suppress) != 0 ||
                 thread->snapshot.refs <= 0 ||
                 !slot_pair_is_right(thread->snapshot.context->epoch) ||
                 !coroutine_is_main_stack(thread)))
        return capture_calling_out(family, sp);
    saved_errno = errno_get();
    thread->building = arch_sp();
    word = slots_pair.call.get();
    thread->building = 0;
    errno_set(saved_errno);
    snapshot = thread->snapshot.context;
    if (unlikely(!snapshot || thread->snapshot.refs <= 0 || word != *slot_word_at(snapshot) ||
                 !slot_pair_is_right(snapshot->epoch)))
        return capture_calling_out(family, sp);
    if (unlikely(!context_take_one(thread)))
        return capture_any(family, sp);
    thread->snapshot.tally[family]++;
    return snapshot;
}

static APART struct context *capture_unsettled(unsigned family, uintptr_t sp)
{
    struct context *context = draft_take(thread_self, family);

    return context ? context : capture_any(family, sp);
}

/* The same where values change between handoffs, and nothing else is in the way. */
static APART struct context *capture_changed(unsigned family, uintptr_t sp)
{
    struct thread *thread = thread_self;
    struct context *context;

    if (!snapshot_is_draft(&thread->snapshot))
        return capture_any(family, sp);
    context = draft_try(thread, family);
    return likely(context != NULL) ? context : capture_unsettled(family, sp);
}

static APART struct context *capture_limited(unsigned family, uintptr_t sp)
{
    struct context *context = take_limited(thread_self, family);

    return likely(context != NULL) ? context : capture_any(family, sp);
}

/* Where every capture builds a context of its own (BATON_STRICT, values that no two captures share), and the thread runs in
 * none. */
static APART struct context *capture_built(unsigned family, uintptr_t sp)
{
    struct thread *thread = thread_self;
    struct context *context;

    if (unlikely(((uintptr_t)thread->attached | (uintptr_t)thread->runs | thread->building |
                  thread->suppress) != 0 ||
                 !guard_allows_short_ways() || !(context = context_build(thread, 1))))
        return capture_any(family, sp);
    if (unlikely(slot_counts_on))
        slot_counts_add(thread, context, 1, 0);
    if (likely(!(context->flags & CONTEXT_EMPTY))) {
        thread->counts.carried[family]++;
        return context;
    }
    thread->counts.empty[family]++;
    context_put(context, 1);
    return context_empty;
}

/* Of held keys: as long as captures can share what is held. */
static APART struct context *capture_held(unsigned family, uintptr_t sp)
{
    struct context *context;

    if (unlikely(slots_always_build)) /* or from now on: a leak checker was loaded */
        return capture_built(family, sp);
    context = take_held(thread_self, family);

    return likely(context != NULL) ? context : capture_any(family, sp);
}

/* Where somebody watches, what context_try_capture is where nobody does. */
static APART struct context *capture_observed(unsigned family, uintptr_t sp)
{
    struct thread *thread = thread_self;
    struct context *context;

    if (unlikely(!guard_is_for_observer() || thread->attached ||
                 !(context = context_take_bought(thread, family))))
        return capture_any(family, sp);
    return observer->capture_plain(thread, context, family);
}

static struct context *(*capture_way)(unsigned family, uintptr_t sp) = capture_any;

void capture_choose(void)
{
    if (observer)
        capture_way = capture_observed;
    else if (has_limits)
        capture_way = capture_limited;
    else if (dangling_on)
        capture_way = capture_built;
    else if (slots_have_copied)
        capture_way = slots_word.is_expected      ? way_of_word()
                      : atomic_load(&slots_moves) ? capture_by_moves
                      : slots_pair.is_expected    ? capture_pair
                                                  : capture_calling_out;
    else
        capture_way = slots_have_owned_keys ? capture_held
                      : slots_always_build  ? capture_any
                                            : capture_changed;
    context_captures_by_ways = capture_way != capture_any && capture_way != capture_changed;
}

struct context *context_capture_slow(unsigned family)
{
    return capture_way(family, (uintptr_t)__builtin_dwarf_cfa());
}

struct context *context_here(void)
{
    struct thread *thread = thread_enter();
    uint32_t guard = atomic_load_explicit(&context_guard, memory_order_acquire);

    if (!thread || guard & (GUARD_TEARDOWN | GUARD_OFF))
        return NULL;
    return context_visible(thread);
}

bool context_is_too_old(const struct context *context)
{
    return limit_age_ms && context->hops && now_ms() - context->born_ms > limit_age_ms;
}

struct context *context_capture_signal(unsigned family)
{
    struct thread *thread = thread_self;
    struct context *context = thread_is_attached(thread) ? thread->attached
                              : snapshot_is_draft(&thread->snapshot) || thread->snapshot.is_begun
                                  ? NULL
                                  : thread->snapshot.context;

    if (context)
        context = observer_behind(context);
    if (!context || context->flags & (CONTEXT_OVERLAY | CONTEXT_ONCE) || thread->suppress ||
        has_limits ||
        atomic_load_explicit(&context_guard, memory_order_relaxed) & ~(uintptr_t)GUARD_OBSERVED)
        return NULL;
    if (context->flags & CONTEXT_EMPTY)
        thread->counts.empty[family]++;
    else
        thread->counts.carried[family]++;
    if (unlikely(slot_counts_on))
        slot_counts_add_signal(thread, context);
    return context_ref(context);
}

void context_unref_signal(struct context *context)
{
    atomic_fetch_sub_explicit(&context->refs, 1, memory_order_release);
}

void context_count_bare_signal(unsigned family)
{
    if (thread_self != &thread_unknown)
        thread_self->counts.bare[family][BARE_SIGNAL]++;
}

void context_rollback(unsigned family, struct context *context)
{
    struct thread *thread = thread_self;

    if (context->flags & CONTEXT_EMPTY)
        thread->counts.empty[family]--;
    else
        thread->counts.carried[family]--;
    if (unlikely(slot_counts_on))
        slot_counts_add(thread, context, -1, 0);
    context_release(context);
}

void context_count_bare(unsigned family, enum bare_reason reason)
{
    struct thread *thread = thread_enter();

    if (thread)
        thread->counts.bare[family][reason]++;
}
