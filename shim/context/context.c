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
#include "context/pool/slab.h"
#include "context/internal.h"
#include "context/dangling.h"
#include "context/pool/record.h"
#include "context/coroutine.h"
#include "context/thread.h"
#include "context/values.h"
#include "context/variables.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/slots.h"

_Atomic uintptr_t context_guard = GUARD_OFF, context_words_guard = GUARD_OFF;
_Atomic int64_t context_alive;
bool context_is_forked;
struct context *context_empty;
size_t context_before;

static uint32_t limit_age_ms, limit_hops;

static void note_slots_changed(bool may_have_values);
static void note_slots_stale(void);
static bool destroy_later(unsigned key_index, void *value);

static size_t context_bytes; /* from the context on */

size_t overlay_size(void)
{
    return sizeof(struct overlay_part) + context_bits() * sizeof(uint64_t) +
           (slots_have_owned_keys ? slots_key_count * sizeof(void *) : 0);
}

static size_t bytes_of(bool is_overlay)
{
    return context_before + context_bytes + (is_overlay ? overlay_size() : 0);
}

struct context *context_alloc(bool is_overlay)
{
    char *buffer = mem_alloc_dirty(bytes_of(is_overlay));

    return buffer ? (struct context *)(void *)(buffer + context_before) : NULL;
}

void context_give_back(struct context *context, bool is_overlay)
{
    mem_free(context_copied(context), bytes_of(is_overlay));
}

void context_copy_values(struct context *to, const struct context *from)
{
    if (context_before)
        memcpy(context_copied(to), context_copied(from), context_before);
    memcpy(&to->flags, &from->flags, context_bytes - offsetof(struct context, flags));
}

struct overlay_part *context_overlay_part(const struct context *context)
{
    return (struct overlay_part *)(void *)((char *)(uintptr_t)context + context_bytes);
}

void context_init(uint32_t max_age_ms, uint32_t max_hops)
{
    uintptr_t guard = 0;

    limit_age_ms = max_age_ms;
    limit_hops = max_hops;
    context_before = (slots_bytes + 15) & ~(size_t)15;
    context_bytes = offsetof(struct context, key) + slots_key_count * sizeof(void *);
    context_empty = context_alloc(false);
    if (!context_empty)
        return; /* stays off */
    memset(context_copied(context_empty), 0, bytes_of(false));
    context_empty->flags = CONTEXT_EMPTY;
    atomic_store(&context_empty->refs, INT64_MAX / 2);
    context_empty->epoch = UINT32_MAX; /* its values are right for every binding */
    slots_initial = context_copied(context_empty);
    slots_set_initial();
    slots_calls.changed = note_slots_changed;
    slots_calls.stale = note_slots_stale;
    slots_calls.destroying = destroy_later;
    slots_calls.key_gone = values_forget;
    if (dangling_on)
        slots_always_build = true; /* so that who holds a value is known at every moment */
    scope_is_words_only = slots_are_words && words_are_quick && !slots_always_build &&
                          context_before == words_bytes && thread_reserve_front(context_before);
    if (scope_is_words_only)
        guard |= GUARD_WORDS;
    else if (slots_have_copied || slots_have_owned_keys)
        guard |= GUARD_COPIED;
    if (max_age_ms || max_hops)
        guard |= GUARD_LIMITS;
    if (slots_stale)
        guard |= GUARD_STALE;
    atomic_store(&context_words_guard, guard ^ GUARD_WORDS);
    atomic_store(&context_guard, guard);
}

void guard_raise(uintptr_t bits)
{
    atomic_fetch_or(&context_words_guard, bits);
    atomic_fetch_or(&context_guard, bits);
}

void guard_lower(uintptr_t bits)
{
    atomic_fetch_and(&context_words_guard, ~bits);
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
        for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
            if (context_holds_counted(context, key_index))
                values_let_go(key_index, key_bindings[key_index].since, context->key[key_index]);
        }
    }
    for (unsigned key_index = 0; slots_have_owned_keys && key_index < slots_key_count;
         key_index++) {
        if (context_key_is_owned(key_index))
            policy_let_go(context_key_slot(key_index), context->key[key_index]);
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

void context_flush_releases(struct thread *thread)
{
    struct context *context = thread->deferred_context;
    int32_t owed = DEBT_MAX - thread->deferred_releases;

    if (!context)
        return;
    flush_begin(thread);
    thread->deferred_context = NULL;
    thread->deferred_releases = 0;
    if (owed > 0)
        context_put(context, owed);
    flush_end(thread);
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
    if (context == thread->deferred_context) { /* the batch is full */
        flush_begin(thread);
        thread->deferred_releases = DEBT_MAX;
        thread->deferred_context = NULL;
        context_put(context, DEBT_MAX);
        flush_end(thread);
        return;
    }
    if (context->flags & (CONTEXT_COUNTED | CONTEXT_ONCE) ||
        atomic_load_explicit(&context->refs, memory_order_relaxed) == 1) {
        context_put(context, 1);
        return;
    }
    context_flush_releases(thread);
    thread->deferred_context = context;
    thread->deferred_releases = DEBT_MAX - 1;
}

/* ---- capturing ---- */

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

    if ((context = context_take_words(thread, 0, family)) ||
        (context = context_try_batch(thread, family)))
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
    if (thread->attached)
        scope_drop_stale(thread, (uintptr_t)__builtin_dwarf_cfa());
    if (guard & GUARD_STALE)
        context_look_again();
    if (thread->suppress) {
        thread->bare[family][BARE_SUPPRESSED]++;
        return context_empty;
    }
    context = thread->attached ? context_of_task(thread) : context_of_thread(thread);
    if (!context) {
        thread->bare[family][BARE_MEMORY]++;
        return NULL;
    }
    if (thread->attached && !guard)
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
    struct context *context = thread_is_attached(thread) ? thread->attached
                              : thread->changed_count    ? NULL
                                                         : thread->snapshot;

    if (!context || context->flags & (CONTEXT_OVERLAY | CONTEXT_ONCE) || thread->suppress ||
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
 * Told by the slots room. A key index that gets a fresh key for the first time is empty in every
 * context there is, so nothing need be checked; otherwise every context is compared with the epoch
 * from now on, unless there has not been one yet.
 */
static void note_slots_changed(bool may_have_values)
{
    if (may_have_values && atomic_load(&contexts_built))
        guard_raise(GUARD_EPOCH);
}

int context_set_key(unsigned key, unsigned key_index, const void *value,
                    int (*real)(unsigned, const void *))
{
    struct thread *thread = thread_self;
    int error;

    if (thread_is_attached(thread))
        scope_drop_stale(thread, (uintptr_t)__builtin_dwarf_cfa());
    if (!thread_is_attached(thread)) {
        void *old = dangling_on ? slots_calls.key_read(key) : NULL;

        error = real(key, value);
        if (old && error == 0 && !context_key_is_owned(key_index))
            dangling_replaced(context_key_slot(key_index), old, value);
        if (error == 0 && origins_on && thread != &thread_unknown)
            origin_seen(thread, context_key_slot(key_index), value);
        if (error == 0 && thread->snapshot && thread->snapshot->key[key_index] != value)
            context_changed(thread, key_index);
        return error;
    }
    return scope_set_key(thread, key, key_index, value, real);
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
static bool destroy_later(unsigned key_index, void *value)
{
    struct thread *thread = thread_self;

    if (!thread_is_attached(thread))
        context_drop_snapshot(thread);
    if (context_key_is_owned(key_index)) {
        if (origins_on)
            origin_seen(thread, context_key_slot(key_index), NULL);
        return false;
    }
    return values_defer(key_index, key_bindings[key_index].since, value);
}

void context_fork_lock(void)
{
    map_fork_lock();
    vars_fork_lock();
    dangling_fork_lock();
    slots_fork_lock();
    thread_fork_lock();
    coroutine_fork_lock();
    values_fork_lock();
    slab_fork_lock();
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
    thread->snapshot = thread->deferred_context = thread->batch = thread->batch_attached = NULL;
    thread->snapshot_refs = thread->stale_snapshot_refs = thread->deferred_releases =
        thread->batch_refs = 0;
    thread->changed_count = 0;
    thread->records_made = 0;
    thread->records_freed = -(uint64_t)thread->freed; /* what is told later */
}

void context_fork_unlock(bool is_child)
{
    mem_fork_unlock();
    record_fork_unlock();
    slab_fork_unlock();
    values_fork_unlock(is_child);
    coroutine_fork_unlock();
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
