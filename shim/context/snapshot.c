/*
 * What a thread sees, as a context: built from its slots, kept as its snapshot, renewed when something
 * changed, lent in batches to a thread that has inherited one.
 *
 * Rules: as in context.c; slot functions (getters) are foreign code, called with no lock held.
 */
#include <string.h>

#include "base/mem.h"
#include "context/context.h"
#include "context/dangling.h"
#include "context/private.h"
#include "context/strand.h"
#include "context/thread.h"
#include "context/values.h"
#include "context/vars.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/slots.h"
#include "slots/words.h"

enum {
    PREPAID_BATCH = 4096, /* references bought at once for a thread's snapshot */
};

_Atomic uint32_t contexts_built;

/* The value of a column as the calling thread sees it now. */
void *context_get_key(const struct thread *thread, unsigned column)
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
struct context *context_build(struct thread *thread, int64_t refs)
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
        void *value = context_get_key(thread, column);

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
struct context *context_of_task(struct thread *thread)
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
void context_lend(struct thread *thread, struct context *context)
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
    return thread->over ? context_of_task(thread) : context_build(thread, 1);
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

void context_changed(struct thread *thread, unsigned column)
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
        void *value = context_get_key(thread, thread->changed[i]);

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
struct context *context_of_thread(struct thread *thread)
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
