/*
 * What a thread sees, as a context: built from its slots, kept as its snapshot, renewed when something
 * changed, handed out in batches to a thread that has inherited one.
 *
 * Rules: as in context.c; slot functions (getters) are foreign code, called with no lock held.
 */
#include <string.h>

#include "base/mem.h"
#include "context/context.h"
#include "context/dangling.h"
#include "context/draft.h"
#include "context/internal.h"
#include "context/observer.h"
#include "context/reads.h"
#include "context/slot_counts.h"
#include "context/strict.h"
#include "context/coroutine.h"
#include "context/thread.h"
#include "context/unwind.h"
#include "context/values.h"
#include "context/variables.h"
#include "slots/moves.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/keys.h"
#include "slots/slots.h"
#include "slots/words.h"

_Atomic uint32_t contexts_built;

void *context_get_key(const struct thread *thread, unsigned key_index)
{
    const struct key_binding *binding = &key_bindings[key_index];

    if (!binding->is_bound)
        return NULL;
    if (thread->attached)
        return thread->attached->epoch >= binding->since ? thread->attached->key[key_index] : NULL;
    return slots_calls.key_read(binding->key);
}

/* What a context keeps of a held key index: rule 16. */
static void *hold_key(struct thread *thread, unsigned key_index, void *value)
{
    const struct slot *slot = context_key_slot(key_index);
    const struct context *own =
        thread->attached && thread->attached->flags & CONTEXT_OVERLAY ? thread->attached : NULL;

    if (own && slot->policy == POLICY_WEAK && value == context_borrowed(own)[key_index])
        return origin_ref(own->base->key[key_index]);
    return policy_hold(slot, value, own ? (const void *)own : thread, NULL);
}

/* What the innermost attach gave of the copied slots; NULL: nothing. */
static const void *borrowed_now(const struct thread *thread)
{
    const struct scope_entry *entry = thread->depth ? &thread->entries[thread->depth - 1] : NULL;

    return slots_have_owned && entry && entry->saved_at < SAVED_PUT_BACK
               ? thread->saved + entry->saved_at + slots_bytes
               : NULL;
}

/* The values that those are borrowed from. */
static const void *borrowed_from(const struct thread *thread)
{
    const struct context *over = thread->attached;

    return over ? context_copied(over->flags & CONTEXT_OVERLAY ? over->base : over) : NULL;
}

void context_abandon(struct thread *thread)
{
    struct context *context = thread->built;

    thread->building = 0;
    thread->built = NULL;
    if (!context)
        return;
    context_note_made(thread); /* what freeing takes away */
    context_free(context);
}

personality_routine baton_build_personality;

/* A getter or a clone function throws, or ends the thread: what it has left behind is nobody's. */
__attribute__((used, visibility("hidden"))) int
baton_build_personality(int version, int actions, uint64_t exception_class,
                        struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding)
{
    if (actions & UNWIND_CLEANUP_PHASE)
        context_abandon(thread_self);
    return UNWIND_CONTINUE;
}

ARCH_PERSONALITY(baton_build_personality);

/* True: some value is set. */
static inline __attribute__((always_inline)) bool read_values_here(struct thread *thread,
                                                                   struct context *context)
{
    bool is_set = false;

    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        void *value = context_get_key(thread, key_index);

        if (value && context_key_is_owned(key_index)) {
            value = hold_key(thread, key_index, value);
        } else if (value && key_bindings[key_index].destructor) {
            if (values_hold(key_index, key_bindings[key_index].since, value))
                context->flags |= CONTEXT_COUNTED;
            else
                value = NULL;
        }
        if (dangling_on && (uintptr_t)value >= DANGLING_LEAST && !context_key_is_owned(key_index))
            dangling_hold(context, context_key_slot(key_index), value);
        context->key[key_index] = value;
        is_set |= value != NULL;
        key_note_value(key_index, value);
    }
    context->vars = vars_ref(vars_now(thread));
    is_set |= context->vars != NULL;
    if (context->vars) {
        atomic_store_explicit(&reads_have_variables, true, memory_order_relaxed);
        if (vars_end)
            context->flags |= CONTEXT_COUNTED;
    }
    if (slots_are_words)
        is_set |= slots_read_words(context_copied(context));
    else if (slots_have_copied)
        is_set |= slots_capture(context_copied(context), thread, borrowed_now(thread),
                                borrowed_from(thread));
    if (dangling_on && slots_have_copied)
        dangling_hold_copied(thread, context);
    if (is_set && slots_have_owned && !slot_word_is_none(context))
        context->flags |=
            CONTEXT_COUNTED; /* let go at once: functions of the program's wait for it */
    return is_set;
}

/* What calls foreign code. */
static GUARDED bool read_values(struct thread *thread, struct context *context)
{
    GUARDED_FRAME_BY(baton_build_personality);
    bool is_set;

    thread->built = context;
    thread->building = arch_sp();
    is_set = read_values_here(thread, context);
    thread->building = 0;
    thread->built = NULL;
    return is_set;
}

/* Held key indexes: what the context keeps is what it would keep now. */
bool context_keys_same(const struct thread *thread, const struct context *context)
{
    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        if (context_key_is_owned(key_index) &&
            !policy_same(context_key_slot(key_index), context->key[key_index],
                         context_get_key(thread, key_index)))
            return false;
    }
    return true;
}

/* Calls foreign code, which may hand over: not out of what is being compared, which that might let go. */
static GUARDED bool compare(struct thread *thread, const struct context *context)
{
    GUARDED_FRAME_BY(baton_build_personality);
    bool is_same;

    thread->building = arch_sp();
    is_same = slots_same(context_copied(context)) &&
              (!slots_have_owned_keys || context_keys_same(thread, context));
    thread->building = 0;
    return is_same;
}

/* Neither the copied slots have changed nor what the values of held keys point to. */
static bool is_right(struct thread *thread, const struct context *context)
{
    if (slots_have_copied) {
        if (!words_same(context_copied(context)))
            return false;
        if (!slots_are_words)
            return compare(thread, context);
    }
    return !(slots_have_owned_keys && !context_keys_same(thread, context));
}

/*
 * A context of what the calling thread sees now, with `refs` references. NULL: no memory.
 * A value that cannot be counted for want of memory is left out: lost context, never lost life.
 */
struct context *context_build(struct thread *thread, int64_t refs)
{
    struct context *context = context_alloc(false);
    bool is_set;

    if (!context)
        return NULL;
    *context = (struct context){.hops = 0};
    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        context->key[key_index] = NULL;
        arch_forget(context->key[key_index]); /* few: no call of memset */
    }
    if (slots_have_copied && !slots_are_words) /* words are all written, and only they are read */
        memset(context_copied(context), 0, slots_bytes);
    if (unlikely(dangling_on))
        dangling_begin(context);
    /* In this order, as opposed to who binds: either sees the other. */
    if (unlikely(!atomic_load_explicit(&contexts_built, memory_order_acquire)))
        atomic_store(&contexts_built, 1);
    context->epoch = atomic_load(&slots_epoch);
    is_set = slots_have_owned_keys || (slots_have_copied && !slots_are_words)
                 ? read_values(thread, context)
                 : read_values_here(thread, context);
    if (slots_always_build && !slot_word_is_none(context))
        context->flags |= CONTEXT_ONCE;
    if (!is_set)
        context->flags |= CONTEXT_EMPTY;
    else if (unlikely(dangling_on))
        strict_born(thread, context);
    atomic_store_explicit(&context->refs, refs, memory_order_relaxed);
    context_note_made(thread);
    return context;
}

/* May a context be a copy of what the task has set? Where no context has more to do with a value than to keep its address,
 * and no key has come or gone since the attach. */
static bool may_copy(const struct thread *thread, const struct context *own)
{
    uint32_t epoch = atomic_load_explicit(&slots_epoch, memory_order_acquire);

    return own == thread->attached && own->epoch == epoch && own->base->epoch == epoch &&
           !slots_have_copied && !slots_have_owned_keys && !slots_always_build && !dangling_on &&
           !scope_may_destroy();
}

/* Every key has had a value once; from then on nobody has to look for the first one of each. */
static atomic_bool all_had_values;

static void note_values(const struct context *context)
{
    bool are_all = true;

    for (unsigned key_index = 0; key_index < slots_key_count; key_index++) {
        key_note_value(key_index, context->key[key_index]);
        are_all &= atomic_load_explicit(&keys_had_value[key_index], memory_order_relaxed);
    }
    if (are_all)
        atomic_store_explicit(&all_had_values, true, memory_order_relaxed);
}

/* context_build of those, with two references. */
static struct context *copy_of_overlay(struct thread *thread, const struct context *own)
{
    struct context *context = context_alloc(false);
    unsigned key_index = 0;

    if (!context)
        return NULL;
    context_copy_values(context, own);
    context->base = NULL;
    context->flags = 0;
    if (vars_ref(context->vars)) {
        atomic_store_explicit(&reads_have_variables, true, memory_order_relaxed);
        if (vars_end)
            context->flags = CONTEXT_COUNTED;
    } else {
        while (key_index < slots_key_count && !context->key[key_index])
            key_index++;
        if (key_index == slots_key_count)
            context->flags = CONTEXT_EMPTY;
    }
    if (unlikely(!atomic_load_explicit(&all_had_values, memory_order_relaxed)))
        note_values(context);
    atomic_store_explicit(&context->refs, 2, memory_order_relaxed);
    context_note_made(thread);
    return context;
}

/*
 * context_ref for a task that hands over what it runs in: a reference that this thread has let go and
 * not yet told the counter of is still counted, and serves again. The last one stays: it keeps the
 * context that the batch names from being another one.
 */
static struct context *ref_of_deferred(struct thread *thread, struct context *context)
{
    if (context != thread->deferred.context || thread->deferred.releases >= DEFERRED_MAX - 1)
        return context_ref(context);
    thread->deferred.releases++;
    thread->deferred.from++;
    return context;
}

/* Of an attached thread: a context of what the task sees, kept for its further captures. */
struct context *context_of_task(struct thread *thread)
{
    struct context *over = observer_behind(thread->attached);
    struct overlay_part *own = over->flags & CONTEXT_OVERLAY ? context_overlay_part(over) : NULL;
    struct context *task_snapshot = own ? own->task_snapshot : over;
    bool is_copy;

    if (task_snapshot && !slots_always_build && is_right(thread, task_snapshot))
        return ref_of_deferred(thread, task_snapshot);
    if (own)
        context_drop_task_snapshot(over);
    is_copy = own && may_copy(thread, over);
    task_snapshot = is_copy ? copy_of_overlay(thread, over) : context_build(thread, 1);
    if (task_snapshot) {
        const struct context *chain = own ? over->base : over;

        task_snapshot->hops = chain->hops;
        task_snapshot->born_ms = chain->born_ms;
        if (own && !slots_always_build && !slots_have_copied) {
            over->flags |= CONTEXT_TOUCHED;
            over->flags &= ~(uint32_t)(CONTEXT_OPEN | CONTEXT_OPEN_THREAD);
            own->task_snapshot = is_copy ? task_snapshot : context_ref(task_snapshot);
        }
    }
    return task_snapshot;
}

void context_flush_batch(struct thread *thread)
{
    struct context *context = thread->batch.context;
    int32_t left = thread->batch.refs;

    thread->batch.attached = NULL;
    if (!context) {
        thread->batch.refs = 0;
        return;
    }
    if (unlikely(slot_counts_on))
        slot_counts_tell_batch(thread);
    flush_begin(thread);
    thread->batch.refs = 0;
    thread->batch.context = NULL;
    context_put(context, left + 1);
    flush_end(thread);
}

/*
 * A thread that has inherited a context is attached for life, so its captures would take one
 * reference each: it takes them in batches, as for a snapshot of its own. Values that a destructor
 * waits for are not kept alive by a batch. The mark is the thread's: no task's attach is above it.
 * What is captured in a run is not batched: longjmp may leave the run without telling. One reference
 * more is the batch's own: what it names is there also when it has none left to hand out.
 */
void context_fill_batch(struct thread *thread, struct context *context)
{
    if (!(thread->frame_mark & FRAME_THREAD) || thread->runs || slots_always_build ||
        slots_have_copied ||
        context->flags & (CONTEXT_COUNTED | CONTEXT_ONCE | CONTEXT_EMPTY | CONTEXT_OVERLAY))
        return;
    if (thread->batch.context != context)
        context_flush_batch(thread);
    if (!thread->batch.refs) {
        if (unlikely(slot_counts_on) && thread->batch.context)
            slot_counts_tell_batch(thread);
        atomic_fetch_add_explicit(&context->refs, REFS_BATCH + !thread->batch.context,
                                  memory_order_relaxed);
        thread->batch.refs = thread->batch.from = REFS_BATCH;
    }
    thread->batch.context = context;
    thread->batch.attached = thread->attached;
}

void context_keep_snapshot(struct thread *thread, struct context *snapshot)
{
    context_drop_snapshot(thread);
    thread->snapshot.context = snapshot;
    thread->snapshot.refs = thread->snapshot.from = REFS_BATCH;
    thread->snapshot.tally = snapshot->flags & CONTEXT_EMPTY ? thread->counts.empty
                                                             : thread->counts.carried;
}

struct context *context_visible(struct thread *thread)
{
    return thread->attached ? context_of_task(thread) : context_build(thread, 1);
}

/* Two captures share what has none of the slot whose values they cannot share. */
static bool may_have_none(void)
{
    return slots_word.is_expected && slots_word.form == WORD_NONE;
}

/* Of a thread on its own: the cached snapshot, renewed when something changed. */
struct context *context_of_thread(struct thread *thread)
{
    struct context *snapshot = thread->snapshot.context;

    /* A snapshot made in a run must not outlive it, and longjmp may leave one without telling; on the
     * stack of a coroutine it is not known here whether the thread itself is in one. */
    if ((slots_always_build && !may_have_none()) || thread->runs ||
        !coroutine_is_main_stack(thread)) {
        struct context *fresh = context_build(thread, 1);

        if (!fresh || !(fresh->flags & CONTEXT_EMPTY))
            return fresh;
        context_put(fresh, 1);
        return context_empty;
    }
    if (snapshot && snapshot->epoch != atomic_load_explicit(&slots_epoch, memory_order_relaxed)) {
        context_drop_snapshot(thread);
        snapshot = NULL;
    }
    if (snapshot) {
        bool is_stale = !is_right(thread, snapshot);

        if (is_stale && !draft_may_be(snapshot)) {
            context_drop_snapshot(thread);
            snapshot = NULL;
        } else if (snapshot_is_draft(&thread->snapshot)) {
            snapshot = draft_end(thread);
        } else if (is_stale && (snapshot = draft_begin(thread))) {
            thread->snapshot.draft = snapshot;
            snapshot = draft_end(thread);
        } else {
            snapshot = thread->snapshot.context; /* NULL where there was no memory */
        }
    }
    if (!snapshot) {
        snapshot = context_build(thread, REFS_BATCH + 1);
        if (!snapshot)
            return NULL;
        if (unlikely(snapshot->flags & CONTEXT_ONCE)) { /* nobody else has seen it */
            atomic_store_explicit(&snapshot->refs, 1, memory_order_relaxed);
            return snapshot;
        }
        context_keep_snapshot(thread, snapshot);
    } else if (thread->snapshot.refs == 0) {
        if (unlikely(slot_counts_on))
            slot_counts_tell_snapshot(thread);
        atomic_fetch_add_explicit(&snapshot->refs, REFS_BATCH, memory_order_relaxed);
        thread->snapshot.refs = REFS_BATCH;
        thread->snapshot.from = REFS_BATCH + thread->snapshot.stale_refs;
    }
    thread->snapshot.refs--;
    return snapshot;
}
