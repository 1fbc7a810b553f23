/*
 * The life of contexts, from start-up to fork, and capture's slow path.
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

_Atomic uintptr_t context_guard = GUARD_OFF, context_wordy_guard = GUARD_OFF;
_Atomic int64_t context_alive;
bool context_is_forked;
struct context *context_empty;
size_t context_before;

static uint32_t limit_age_ms, limit_hops;

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

struct context *context_ref(struct context *context)
{
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
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

/* ---- capturing ---- */

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
    context = thread->over ? context_of_task(thread) : context_of_thread(thread);
    if (!context) {
        thread->bare[family][BARE_MEMORY]++;
        return NULL;
    }
    if (thread->over && !guard)
        context_lend(thread, context);
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
            context_changed(thread, column);
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
