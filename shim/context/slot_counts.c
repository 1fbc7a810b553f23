/*
 * Handoffs and runs by slot: see slot_counts.h.
 *
 * Rules: a thread's counts are memory of its own, which stays with its block, and only it writes them. A context is
 * looked at by who has a reference to it, but for the sum at the end, which looks into what other threads keep, as
 * count.c does: their memory stays meanwhile, and what is read wrong of it is off by what they do just then.
 */
#include "context/slot_counts.h"

#include "base/mem.h"
#include "context/internal.h"
#include "context/observer.h"
#include "context/thread.h"
#include "slots/slots.h"

static struct slot_count *counts_of(const struct thread *thread)
{
    return atomic_load_explicit(&thread->guests[GUEST_slot_counts], memory_order_acquire);
}

static bool has_value(const struct slot *slot, const struct context *context)
{
    if ((slot->state != SLOT_BOUND && !slot->was_bound) || slot->since > context->epoch)
        return false;
    if (slot->key_index != SLOT_NO_KEY)
        return context->key[slot->key_index] != NULL;
    return slot_is_set(slot, context_copied(context));
}

static void add(struct slot_count *counts, const struct context *context, int64_t captured,
                int64_t attached)
{
    if (context->flags & CONTEXT_OVERLAY)
        context = context->base;
    if (context->flags & CONTEXT_WATCHED)
        context = context->base;
    if (context->flags & CONTEXT_EMPTY)
        return;
    for (unsigned i = 0; i < slots_count; i++) {
        if (!has_value(&slots[i], context))
            continue;
        counts[i].captured += (uint64_t)captured;
        counts[i].attached += (uint64_t)attached;
    }
}

void slot_counts_begin(void)
{
    slot_counts_on = true;
}

/* Made when they are first needed. NULL: no memory. */
static struct slot_count *counts_for(struct thread *thread)
{
    struct slot_count *counts = counts_of(thread);

    if (counts || thread == &thread_unknown)
        return counts;
    counts = mem_alloc(slots_count * sizeof *counts);
    atomic_store_explicit(&thread->guests[GUEST_slot_counts], counts, memory_order_release);
    return counts;
}

void slot_counts_add(struct thread *thread, const struct context *context, int64_t captured,
                     int64_t attached)
{
    struct slot_count *counts = counts_for(thread);

    if (counts)
        add(counts, context, captured, attached);
}

void slot_counts_moved(struct thread *thread, const struct slot *slot)
{
    struct slot_count *counts = counts_for(thread);

    if (counts)
        counts[slot - slots].attached++;
}

void slot_counts_add_signal(struct thread *thread, const struct context *context)
{
    struct slot_count *counts = counts_of(thread);

    if (counts)
        add(counts, context, 1, 0);
}

void slot_counts_ran(struct thread *thread, const struct context *context)
{
    slot_counts_add(thread, context, 0, 1);
}

static int64_t taken(const struct thread_snapshot *snapshot)
{
    return (int64_t)snapshot->from - snapshot->refs - snapshot->stale_refs;
}

void slot_counts_tell_snapshot(struct thread *thread)
{
    int64_t count = taken(&thread->snapshot);

    thread->snapshot.from = thread->snapshot.refs + thread->snapshot.stale_refs;
    if (count)
        slot_counts_add(thread, thread->snapshot.context, count, 0);
}

void slot_counts_tell_batch(struct thread *thread)
{
    int64_t count = (int64_t)thread->batch.from - thread->batch.refs;

    thread->batch.from = thread->batch.refs;
    if (count)
        slot_counts_add(thread, thread->batch.context, count, 0);
}

void slot_counts_tell_deferred(struct thread *thread)
{
    int64_t count = (int64_t)thread->deferred.from - thread->deferred.releases;

    thread->deferred.from = thread->deferred.releases;
    if (count)
        slot_counts_add(thread, thread->deferred.context, 0, count);
}

uint64_t slot_counts_runs(const struct thread *thread)
{
    const struct slot_count *counts = counts_of(thread);
    uint64_t sum = (uint64_t)((int64_t)thread->deferred.from - thread->deferred.releases);

    for (unsigned i = 0; counts && i < slots_count; i++)
        sum += counts[i].attached;
    return sum;
}

void slot_counts_forget(struct thread *thread)
{
    struct slot_count *counts = counts_of(thread);

    thread->snapshot.from = thread->snapshot.refs + thread->snapshot.stale_refs;
    thread->batch.from = thread->batch.refs;
    thread->deferred.from = thread->deferred.releases;
    for (unsigned i = 0; counts && i < slots_count; i++)
        counts[i] = (struct slot_count){0, 0};
}

/*
 * As visit_caches of count.c: each of the three holds a reference to what it names. One handoff's own copy, whose
 * memory is used again at once, is never among them: it is let go at once (CONTEXT_ONCE).
 */
__attribute__((no_sanitize("thread"))) static void visit(struct thread *thread, void *arg)
{
    struct slot_count *sums = arg;
    const struct slot_count *counts = counts_of(thread);
    const struct context *context;

    for (unsigned i = 0; counts && i < slots_count; i++) {
        sums[i].captured += counts[i].captured;
        sums[i].attached += counts[i].attached;
    }
    if ((context = thread->snapshot.context))
        add(sums, context, taken(&thread->snapshot), 0);
    if ((context = thread->batch.context))
        add(sums, context, (int64_t)thread->batch.from - thread->batch.refs, 0);
    if ((context = thread->deferred.context) && thread->deferred.releases < DEFERRED_MAX)
        add(sums, context, 0, (int64_t)thread->deferred.from - thread->deferred.releases);
}

void slot_counts_sum(struct slot_count *sums)
{
    atomic_store(&contexts_looked_at, true);
    thread_each(visit, sums);
    atomic_store(&contexts_looked_at, false);
}
