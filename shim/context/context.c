/*
 * Building, sharing and freeing contexts; capture's slow path.
 *
 * Rules: nothing here allocates from the program, prints, or changes errno; slot functions
 * (getters, destructors) are foreign code and are called with no lock held.
 */
#include "context/context.h"

#include <string.h>
#include <time.h>

#include "base/map.h"
#include "base/mem.h"
#include "context/cell.h"
#include "context/private.h"
#include "context/dangling.h"
#include "context/record.h"
#include "context/strand.h"
#include "context/thread.h"
#include "context/values.h"
#include "context/vars.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/slots.h"

enum {
    PREPAID_BATCH = 4096, /* references bought at once for a thread's snapshot */
};

_Atomic uintptr_t context_guard = GUARD_OFF, context_wordy_guard = GUARD_OFF;
_Atomic int64_t context_alive;
bool context_is_forked;
struct context *context_empty;
size_t context_before;

static uint32_t limit_age_ms, limit_hops;
static _Atomic uint32_t contexts_built; /* not 0 once there was a context */

static void note_slots_changed(bool may_have_values);
static void note_slots_stale(void);
static bool destroy_later(unsigned column, void *value);

static size_t context_bytes; /* from the context on */

size_t context_private_size(void)
{
    return sizeof(struct private_part) + context_bits() * sizeof(uint64_t) +
           (slots_have_held_keys ? slots_columns * sizeof(void *) : 0);
}

static size_t room_of(bool is_private)
{
    return context_before + context_bytes + (is_private ? context_private_size() : 0);
}

struct context *context_room(bool is_private)
{
    char *room = mem_alloc_dirty(room_of(is_private));

    return room ? (struct context *)(void *)(room + context_before) : NULL;
}

void context_give_back(struct context *context, bool is_private)
{
    mem_free(context_copied(context), room_of(is_private));
}

void context_copy_values(struct context *to, const struct context *from)
{
    if (context_before)
        memcpy(context_copied(to), context_copied(from), context_before);
    memcpy(&to->flags, &from->flags, context_bytes - offsetof(struct context, flags));
}

struct private_part *context_private(const struct context *context)
{
    return (struct private_part *)(void *)((char *)(uintptr_t)context + context_bytes);
}

void context_init(uint32_t max_age_ms, uint32_t max_hops)
{
    uintptr_t guard = 0;

    limit_age_ms = max_age_ms;
    limit_hops = max_hops;
    context_before = (slots_bytes + 15) & ~(size_t)15;
    context_bytes = offsetof(struct context, key) + slots_columns * sizeof(void *);
    context_empty = context_room(false);
    if (!context_empty)
        return; /* stays off */
    memset(context_copied(context_empty), 0, room_of(false));
    context_empty->flags = CONTEXT_EMPTY;
    atomic_store(&context_empty->refs, INT64_MAX / 2);
    context_empty->epoch = UINT32_MAX; /* its values are right for every binding */
    slots_initial = context_copied(context_empty);
    slots_set_initial();
    slots_changed_hook = note_slots_changed;
    slots_stale_hook = note_slots_stale;
    key_destructor_hook = destroy_later;
    if (dangling_on)
        slots_always_build = true; /* so that who holds a value is known at every moment */
    scope_is_wordy = slots_are_words && words_are_quick && !slots_always_build &&
                     context_before == words_bytes && thread_reserve_front(context_before);
    if (scope_is_wordy)
        guard |= GUARD_WORDS;
    else if (slots_have_copied || slots_have_held_keys)
        guard |= GUARD_COPIED;
    if (max_age_ms || max_hops)
        guard |= GUARD_LIMITS;
    if (slots_stale)
        guard |= GUARD_STALE;
    atomic_store(&context_wordy_guard, guard ^ GUARD_WORDS);
    atomic_store(&context_guard, guard);
}

void guard_raise(uintptr_t bits)
{
    atomic_fetch_or(&context_wordy_guard, bits);
    atomic_fetch_or(&context_guard, bits);
}

void guard_lower(uintptr_t bits)
{
    atomic_fetch_and(&context_wordy_guard, ~bits);
    atomic_fetch_and(&context_guard, ~bits);
}

static uint32_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint32_t)(now.tv_sec * 1000 + now.tv_nsec / 1000000);
}

/* ---- the end of a context ---- */

void context_free(struct context *context)
{
    unsigned flags = context->flags;

    if (flags & CONTEXT_COUNTED) {
        for (unsigned column = 0; column < slots_columns; column++) {
            if (context_holds_counted(context, column))
                values_let_go(column, key_bindings[column].since, context->key[column]);
        }
    }
    for (unsigned column = 0; slots_have_held_keys && column < slots_columns; column++) {
        if (context_column_is_held(column))
            policy_let_go(context_column_slot(column), context->key[column]);
    }
    if (dangling_on)
        dangling_let_go(context);
    if (slots_owns_values)
        slots_release(context_copied(context));
    vars_unref(context->vars);
    atomic_fetch_sub_explicit(&context_alive, 1, memory_order_relaxed);
    if (likely(!atomic_load_explicit(&contexts_looked_at, memory_order_relaxed)))
        context_give_back(context, false);
}

static void context_put(struct context *context, int64_t count)
{
    if (atomic_fetch_sub_explicit(&context->refs, count, memory_order_acq_rel) == count)
        context_free(context);
}

struct context *context_ref(struct context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

/*
 * Around a cache that is let go of. In between the thread no longer shows references that the counter
 * still has: who counts contexts waits for the end.
 */
static void settle_begin(struct thread *thread)
{
    uint32_t begun = atomic_load_explicit(&thread->settles_begun, memory_order_relaxed);

    atomic_store_explicit(&thread->settles_begun, begun + 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void settle_end(struct thread *thread)
{
    uint32_t done = atomic_load_explicit(&thread->settles_done, memory_order_relaxed);

    atomic_store_explicit(&thread->settles_done, done + 1, memory_order_release);
}

void context_settle_debt(struct thread *thread)
{
    struct context *context = thread->debt_context;
    int32_t owed = DEBT_MAX - thread->debt;

    if (!context)
        return;
    settle_begin(thread);
    thread->debt_context = NULL;
    thread->debt = 0;
    if (owed > 0)
        context_put(context, owed);
    settle_end(thread);
}

/*
 * Contexts with counted values are let go at once, because a destructor may wait for them. The last
 * known reference is let go at once too: a batch would keep a dead context until this thread's next
 * task. What remains in batches is owed to contexts that their owner still caches.
 */
void context_release_slow(struct thread *thread, struct context *context)
{
    if (thread == &thread_unknown) {
        context_put(context, 1);
        return;
    }
    if (context == thread->debt_context) { /* the batch is full */
        settle_begin(thread);
        thread->debt = DEBT_MAX;
        thread->debt_context = NULL;
        context_put(context, DEBT_MAX);
        settle_end(thread);
        return;
    }
    if (context->flags & (CONTEXT_COUNTED | CONTEXT_ONCE) ||
        atomic_load_explicit(&context->refs, memory_order_relaxed) == 1) {
        context_put(context, 1);
        return;
    }
    context_settle_debt(thread);
    thread->debt_context = context;
    thread->debt = DEBT_MAX - 1;
}

/* ---- building ---- */

/* The value of a column as the calling thread sees it now. */
static void *visible_key(const struct thread *thread, unsigned column)
{
    const struct key_binding *binding = &key_bindings[column];

    if (!binding->is_bound)
        return NULL;
    if (thread->over)
        return thread->over->epoch >= binding->since ? thread->over->key[column] : NULL;
    return key_read_native(binding->key);
}

/* What a context keeps of a held column: rule 16. */
static void *hold_key(struct thread *thread, unsigned column, void *value)
{
    const struct slot *slot = context_column_slot(column);
    const struct context *own = thread->over && thread->over->flags & CONTEXT_PRIVATE ? thread->over
                                                                                      : NULL;

    if (own && slot->policy == POLICY_WEAK && value == context_lent(own)[column])
        return origin_ref(own->base->key[column]);
    return policy_hold(slot, value, own ? (const void *)own : thread, NULL);
}

/*
 * A context of what the calling thread sees now, with `refs` references. NULL: no memory.
 * A value that cannot be counted for want of memory is left out: lost context, never lost life.
 */
static struct context *context_build(struct thread *thread, int64_t refs)
{
    struct context *context = context_room(false);
    bool is_set = false;

    if (!context)
        return NULL;
    memset(context, 0, sizeof *context);
    if (slots_have_copied)
        memset(context_copied(context), 0, slots_bytes);
    thread->building = arch_sp();
    context->epoch = atomic_load_explicit(&slots_epoch, memory_order_acquire);
    for (unsigned column = 0; column < slots_columns; column++) {
        void *value = visible_key(thread, column);

        if (value && context_column_is_held(column)) {
            value = hold_key(thread, column, value);
        } else if (value && key_bindings[column].destructor) {
            if (values_hold(column, key_bindings[column].since, value))
                context->flags |= CONTEXT_COUNTED;
            else
                value = NULL;
        }
        if (value && dangling_on && !context_column_is_held(column))
            dangling_hold(context, context_column_slot(column), value);
        context->key[column] = value;
        is_set |= value != NULL;
    }
    context->vars = vars_ref(vars_now(thread));
    is_set |= context->vars != NULL;
    if (context->vars && vars_end)
        context->flags |= CONTEXT_COUNTED;
    if (slots_have_copied)
        is_set |= slots_capture(context_copied(context), thread, scope_lent(thread),
                                scope_lent_from(thread));
    if (dangling_on && slots_have_copied)
        dangling_hold_copied(thread, context);
    thread->building = 0;
    atomic_store_explicit(&contexts_built, 1, memory_order_relaxed);
    if (slots_always_build)
        context->flags |= CONTEXT_ONCE;
    if (!is_set)
        context->flags |= CONTEXT_EMPTY;
    atomic_store_explicit(&context->refs, refs, memory_order_relaxed);
    atomic_fetch_add_explicit(&context_alive, 1, memory_order_relaxed);
    return context;
}

void context_drop_snapshot(struct thread *thread)
{
    struct context *snap = thread->snap;
    int32_t prepaid = thread->prepaid + thread->stale_prepaid;

    if (!snap)
        return;
    settle_begin(thread);
    thread->snap = NULL;
    thread->prepaid = thread->stale_prepaid = 0;
    thread->changed_count = 0;
    context_put(snap, prepaid + 1);
    settle_end(thread);
}

/*
 * context_ref for a task that hands over what it runs in: a reference that this thread has let go and
 * not yet told the counter of is still counted, and serves again. The last one stays: it keeps the
 * context that the batch names from being another one.
 */
static struct context *ref_of_debt(struct thread *thread, struct context *context)
{
    if (context != thread->debt_context || thread->debt >= DEBT_MAX - 1)
        return context_ref(context);
    thread->debt++;
    return context;
}

/* Of an attached thread: a context of what the task sees, kept for its further captures. */
static struct context *capture_attached(struct thread *thread)
{
    struct context *over = thread->over;
    struct private_part *own = over->flags & CONTEXT_PRIVATE ? context_private(over) : NULL;
    struct context *frozen = own ? own->frozen : over;

    if (frozen && !slots_always_build &&
        !(slots_have_copied && !slots_same(context_copied(frozen))))
        return ref_of_debt(thread, frozen);
    frozen = context_build(thread, 1);
    if (frozen) {
        const struct context *chain = own ? over->base : over;

        frozen->hops = chain->hops;
        frozen->born_ms = chain->born_ms;
        if (own && !slots_always_build && !slots_have_copied)
            own->frozen = context_ref(frozen);
    }
    return frozen;
}

void context_settle_loan(struct thread *thread)
{
    struct context *context = thread->loan;
    int32_t left = thread->loan_left;

    thread->loan_over = NULL;
    if (!context) {
        thread->loan_left = 0;
        return;
    }
    settle_begin(thread);
    thread->loan_left = 0;
    thread->loan = NULL;
    if (left)
        context_put(context, left);
    settle_end(thread);
}

/*
 * A thread that has inherited a context is attached for life, so its captures would take one
 * reference each: it buys them in batches, as for a snapshot of its own. Values that a destructor
 * waits for are not kept alive by a batch. The mark is the thread's: no task's attach is above it.
 * What is captured in a run is not lent: longjmp may leave the run without telling.
 */
static void lend(struct thread *thread, struct context *context)
{
    if (!(thread->mark & MARK_THREAD) || thread->runs || slots_always_build || slots_have_copied ||
        context->flags & (CONTEXT_COUNTED | CONTEXT_ONCE | CONTEXT_EMPTY | CONTEXT_PRIVATE))
        return;
    if (thread->loan != context)
        context_settle_loan(thread);
    if (!thread->loan_left) {
        atomic_fetch_add_explicit(&context->refs, PREPAID_BATCH, memory_order_relaxed);
        thread->loan_left = PREPAID_BATCH;
    }
    thread->loan = context;
    thread->loan_over = thread->over;
}

struct context *context_visible(struct thread *thread)
{
    return thread->over ? capture_attached(thread) : context_build(thread, 1);
}

/*
 * A program that serves requests sets its values and hands over, again and again: then the snapshot
 * is not built anew, but written to where this thread alone knows it, else copied. Nothing of that
 * where a context has more to do with a value than to hold its address or bytes.
 */
static bool is_renewable(const struct context *snap)
{
    return (!slots_have_copied || guard_is_for_words()) && !slots_always_build &&
           !(snap->flags & CONTEXT_COUNTED);
}

static void set_prepaid_aside(struct thread *thread)
{
    thread->stale_prepaid += thread->prepaid;
    thread->prepaid = 0;
}

static void snapshot_changed(struct thread *thread, unsigned column)
{
    if (!is_renewable(thread->snap) || key_bindings[column].destructor ||
        thread->changed_count == CHANGED_MAX) {
        context_drop_snapshot(thread);
        return;
    }
    set_prepaid_aside(thread);
    thread->changed[thread->changed_count++] = (uint16_t)column;
}

/* NULL: no memory; the snapshot is gone then. */
static struct context *renew_snapshot(struct thread *thread)
{
    struct context *snap = thread->snap;
    int32_t prepaid = thread->stale_prepaid;
    bool is_set = snap->vars != NULL;

    if (atomic_load_explicit(&snap->refs, memory_order_acquire) != prepaid + 1) {
        struct context *copy = context_room(false);

        if (!copy) {
            context_drop_snapshot(thread);
            return NULL;
        }
        context_copy_values(copy, snap);
        vars_ref(copy->vars);
        atomic_store_explicit(&copy->refs, PREPAID_BATCH + 1, memory_order_relaxed);
        settle_begin(thread);
        atomic_fetch_add_explicit(&context_alive, 1, memory_order_relaxed);
        thread->snap = copy;
        thread->stale_prepaid = PREPAID_BATCH;
        context_put(snap, prepaid + 1);
        settle_end(thread);
        snap = copy;
        prepaid = PREPAID_BATCH;
    }
    for (unsigned i = 0; i < thread->changed_count; i++) {
        void *value = visible_key(thread, thread->changed[i]);

        snap->key[thread->changed[i]] = value;
        is_set |= value != NULL;
    }
    if (slots_have_copied)
        is_set |= words_read(context_copied(snap), slots_initial);
    for (unsigned column = 0; !is_set && column < slots_columns; column++)
        is_set = snap->key[column] != NULL;
    snap->flags = is_set ? 0 : CONTEXT_EMPTY;
    thread->snap = snap;
    thread->tally = is_set ? thread->carried : thread->empty;
    thread->prepaid = prepaid;
    thread->stale_prepaid = 0;
    thread->changed_count = 0;
    return snap;
}

/* Of a thread on its own: the cached snapshot, renewed when something changed. */
static struct context *capture_own(struct thread *thread)
{
    struct context *snap = thread->snap;

    /* A snapshot made in a run must not outlive it, and longjmp may leave one without telling; on the
     * stack of a coroutine it is not known here whether the thread itself is in one. */
    if (slots_always_build || thread->runs || !strand_is_home(thread)) {
        struct context *fresh = context_build(thread, 1);

        if (!fresh || !(fresh->flags & CONTEXT_EMPTY))
            return fresh;
        context_put(fresh, 1);
        return context_empty;
    }
    if (snap && snap->epoch != atomic_load_explicit(&slots_epoch, memory_order_relaxed)) {
        context_drop_snapshot(thread);
        snap = NULL;
    }
    if (snap) {
        bool is_stale = slots_have_copied && !slots_same(context_copied(snap));

        if (is_stale && !is_renewable(snap)) {
            context_drop_snapshot(thread);
            snap = NULL;
        } else if (is_stale || thread->changed_count) {
            set_prepaid_aside(thread);
            snap = renew_snapshot(thread);
        }
    }
    if (!snap) {
        snap = context_build(thread, PREPAID_BATCH + 1);
        if (!snap)
            return NULL;
        thread->snap = snap;
        thread->prepaid = PREPAID_BATCH;
        thread->tally = snap->flags & CONTEXT_EMPTY ? thread->empty : thread->carried;
    } else if (thread->prepaid == 0) {
        atomic_fetch_add_explicit(&snap->refs, PREPAID_BATCH, memory_order_relaxed);
        thread->prepaid = PREPAID_BATCH;
    }
    thread->prepaid--;
    return snap;
}

/* Past a limit the chain ends: the task runs with empty slots (rule A11). */
static struct context *apply_limits(struct thread *thread, struct context *context, unsigned family)
{
    const struct context *from = thread->over;
    struct context *limited;

    if (from && from->flags & CONTEXT_PRIVATE)
        from = from->base;
    if (from && ((limit_hops && from->hops >= limit_hops) ||
                 (limit_age_ms && from->hops && now_ms() - from->born_ms > limit_age_ms))) {
        context_put(context, 1);
        thread->bare[family][BARE_LIMIT]++;
        return context_empty;
    }
    if (context == context_empty)
        return context;
    limited = context_build(thread, 1); /* hops and age are the chain's own: not shareable */
    if (!limited)
        return context;
    limited->hops = from ? from->hops + 1 : 1;
    limited->born_ms = from && from->hops ? from->born_ms : now_ms();
    context_put(context, 1);
    return limited;
}

struct context *context_capture_slow(unsigned family)
{
    struct thread *thread = thread_self;
    uintptr_t guard;
    struct context *context;

    if ((context = context_take_wordy(thread, 0, family)) ||
        (context = context_try_loan(thread, family)))
        return context;
    thread = thread_enter();
    guard = atomic_load_explicit(&context_guard, memory_order_acquire);
    if (!thread)
        return NULL;
    if (guard & (GUARD_TEARDOWN | GUARD_OFF)) {
        thread->bare[family][BARE_TEARDOWN]++;
        return NULL;
    }
    if (thread->building && arch_sp() < thread->building) { /* a getter or an adapter hands over */
        thread->bare[family][BARE_ERROR]++;
        return NULL;
    }
    if (thread->runs)
        vars_drop_stale(thread, arch_sp());
    if (thread->over)
        scope_drop_stale(thread, (uintptr_t)__builtin_dwarf_cfa());
    if (guard & GUARD_STALE)
        context_look_again();
    if (thread->suppress) {
        thread->bare[family][BARE_SUPPRESSED]++;
        return context_empty;
    }
    context = thread->over ? capture_attached(thread) : capture_own(thread);
    if (!context) {
        thread->bare[family][BARE_MEMORY]++;
        return NULL;
    }
    if (thread->over && !guard)
        lend(thread, context);
    if (guard & GUARD_LIMITS)
        context = apply_limits(thread, context, family);
    if (context->flags & CONTEXT_EMPTY)
        thread->empty[family]++;
    else
        thread->carried[family]++;
    return context;
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
    struct context *context = thread_is_attached(thread) ? thread->over
                              : thread->changed_count    ? NULL
                                                         : thread->snap;

    if (!context || context->flags & (CONTEXT_PRIVATE | CONTEXT_ONCE) || thread->suppress ||
        atomic_load_explicit(&context_guard, memory_order_relaxed))
        return NULL;
    if (context->flags & CONTEXT_EMPTY)
        thread->empty[family]++;
    else
        thread->carried[family]++;
    return context_ref(context);
}

void context_unref_signal(struct context *context)
{
    atomic_fetch_sub_explicit(&context->refs, 1, memory_order_release);
}

void context_count_bare_signal(unsigned family)
{
    if (thread_self != &thread_unknown)
        thread_self->bare[family][BARE_SIGNAL]++;
}

void context_rollback(unsigned family, struct context *context)
{
    struct thread *thread = thread_self;

    if (context->flags & CONTEXT_EMPTY)
        thread->empty[family]--;
    else
        thread->carried[family]--;
    context_release(context);
}

void context_count_bare(unsigned family, enum bare_reason reason)
{
    struct thread *thread = thread_enter();

    if (thread)
        thread->bare[family][reason]++;
}

/* ---- keys under the overlay ---- */

/*
 * Told by the slots room. A column that gets a fresh key for the first time is empty in every
 * context there is, so nothing need be checked; otherwise every context is compared with the epoch
 * from now on, unless there has not been one yet.
 */
static void note_slots_changed(bool may_have_values)
{
    if (may_have_values && atomic_load(&contexts_built))
        guard_raise(GUARD_EPOCH);
}

void *context_get_key(const struct thread *thread, unsigned column)
{
    return visible_key(thread, column);
}

int context_set_key(unsigned key, unsigned column, const void *value,
                    int (*real)(unsigned, const void *))
{
    struct thread *thread = thread_self;
    int error;

    if (thread_is_attached(thread))
        scope_drop_stale(thread, (uintptr_t)__builtin_dwarf_cfa());
    if (!thread_is_attached(thread)) {
        void *old = dangling_on ? key_read_native(key) : NULL;

        error = real(key, value);
        if (old && error == 0 && !context_column_is_held(column))
            dangling_replaced(context_column_slot(column), old, value);
        if (error == 0 && origins_on && thread != &thread_unknown)
            origin_seen(thread, context_column_slot(column), value);
        if (error == 0 && thread->snap && thread->snap->key[column] != value)
            snapshot_changed(thread, column);
        return error;
    }
    return scope_set_key(thread, key, column, value, real);
}

static void note_slots_stale(void)
{
    guard_raise(GUARD_STALE);
}

void context_look_again(void)
{
    slots_resolve();
    if (!slots_stale) {
        guard_lower(GUARD_STALE);
        if (slots_stale) /* again, while we cleared */
            note_slots_stale();
    }
}

/*
 * glibc destroys a value because its owner ends. The thread's own cache must not keep it: threads
 * that we did not start come here before their block is given back.
 */
static bool destroy_later(unsigned column, void *value)
{
    struct thread *thread = thread_self;

    if (!thread_is_attached(thread))
        context_drop_snapshot(thread);
    if (context_column_is_held(column)) {
        if (origins_on)
            origin_seen(thread, context_column_slot(column), NULL);
        return false;
    }
    return values_defer(column, key_bindings[column].since, value);
}

void context_fork_lock(void)
{
    map_fork_lock();
    vars_fork_lock();
    dangling_fork_lock();
    slots_fork_lock();
    thread_fork_lock();
    strand_fork_lock();
    values_fork_lock();
    cell_fork_lock();
    record_fork_lock();
    mem_fork_lock();
}

/*
 * In the child: what is under way belongs to the parent. The cached references are dropped without
 * being given back, because threads that are not here hold others, and destructors are not for now.
 */
static void forget_parent(struct thread *thread)
{
    context_is_forked = true;
    atomic_store(&context_alive, 0);
    if (thread == &thread_unknown)
        return;
    thread->snap = thread->debt_context = thread->loan = thread->loan_over = NULL;
    thread->prepaid = thread->stale_prepaid = thread->debt = thread->loan_left = 0;
    thread->changed_count = 0;
    thread->records_made = 0;
    thread->records_freed = -(uint64_t)thread->freed; /* what is told later */
}

void context_fork_unlock(bool is_child)
{
    mem_fork_unlock();
    record_fork_unlock();
    cell_fork_unlock();
    values_fork_unlock(is_child);
    strand_fork_unlock();
    thread_fork_unlock(is_child);
    slots_fork_unlock();
    dangling_fork_unlock();
    vars_fork_unlock();
    map_fork_unlock();
    if (is_child) {
        forget_parent(thread_self);
        if (origins_on)
            origin_forked(thread_self);
    }
}
