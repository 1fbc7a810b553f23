/*
 * The table of coroutines, and switching where the fast path does not hold.
 *
 * The table lists every coroutine but main ones, sorted by stack address. Stacks may lie inside one another
 * (a coroutine whose stack is an array of another one's): the innermost is the one meant. The lock
 * guards the table only; contexts are let go, and foreign code is called, without it.
 */
#include "context/fast.h"
#include "context/coroutine.h"

#include <string.h>

#include "base/lock.h"
#include "base/mem.h"
#include "context/internal.h"
#include "context/observer.h"
#include "context/thread.h"
#include "slots/origin.h"
#include "slots/slots.h"

_Atomic uint32_t coroutines_made;

static struct lock table_lock;
static struct coroutine
    *free_coroutines; /* never given back: other threads may still guess at them */
static struct coroutine **table;
static size_t table_count, table_max;

/* ---- the table, under its lock ---- */

/* The first place whose stack begins above `address`. */
static size_t place_above(uintptr_t address)
{
    size_t low = 0, high = table_count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (table[middle]->low > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool table_insert(struct coroutine *coroutine)
{
    size_t at;

    if (table_count == table_max) {
        size_t max = table_max ? table_max * 2 : 64;
        struct coroutine **larger = mem_alloc(max * sizeof(struct coroutine *));

        if (!larger)
            return false;
        if (table_count)
            memcpy(larger, table, table_count * sizeof(struct coroutine *));
        mem_free(table, table_max * sizeof(struct coroutine *));
        table = larger;
        table_max = max;
    }
    at = place_above(coroutine->low);
    memmove(table + at + 1, table + at, (table_count - at) * sizeof(struct coroutine *));
    table[at] = coroutine;
    table_count++;
    return true;
}

static void table_remove_at(size_t at)
{
    table_count--;
    memmove(table + at, table + at + 1, (table_count - at) * sizeof(struct coroutine *));
}

static void table_remove(struct coroutine *coroutine)
{
    for (size_t at = place_above(coroutine->low); at-- > 0 && table[at]->low == coroutine->low;) {
        if (table[at] == coroutine) {
            table_remove_at(at);
            return;
        }
    }
}

/* A coroutine whose stack is in the way of a new one, made from stack address `sp`; taken off the table. */
static struct coroutine *table_take_overlapping(uintptr_t low, size_t size, uintptr_t sp)
{
    for (size_t at = place_above(low + size - 1); at-- > 0;) {
        struct coroutine *coroutine = table[at];
        bool is_within = coroutine->low >= low;

        if (coroutine->low + coroutine->size <= low)
            continue;
        /* We are on that stack, and it has lent the new one a piece of its own. */
        if (!is_within && sp - coroutine->low < coroutine->size)
            continue;
        table_remove_at(at);
        return coroutine;
    }
    return NULL;
}

/* ---- what a thread knows ---- */

/* What an attach without a scope entry has replaced must have a place when another stack runs. */
static bool coroutine_begin(struct coroutine *coroutine)
{
    if (scope_is_words_only && !coroutine->front)
        coroutine->front = mem_alloc(context_before);
    return coroutine->front || !scope_is_words_only;
}

struct coroutines *coroutine_own_slow(void)
{
    struct thread *thread = thread_enter();
    struct coroutines *own = thread ? thread->coroutines : NULL;

    if (!thread || own)
        return own;
    own = mem_alloc(sizeof *own);
    if (!own)
        return NULL;
    if (!coroutine_begin(&own->main_stack)) {
        mem_free(own, sizeof *own);
        return NULL;
    }
    own->current = &own->main_stack;
    thread->coroutines = own;
    return own;
}

struct main_search {
    uintptr_t sp;
    struct coroutine *found;
};

/* Written by others as we read; but the one that we look for was left before we were told of it. */
static void visit_main_stack(struct thread *thread, void *arg)
{
    struct main_search *search = arg;
    struct coroutines *own = thread->coroutines;

    if (own && own->main_stack.sp == search->sp && own->current != &own->main_stack)
        search->found = &own->main_stack;
}

/*
 * A stack that nobody made is the thread's own, unless another thread has left its own one there: oneTBB
 * lets any thread go on with a task that was suspended.
 */
static struct coroutine *find_main_stack(struct coroutines *own, uintptr_t sp)
{
    struct main_search search = {sp, &own->main_stack};

    if (own->main_stack.sp != sp)
        thread_each(visit_main_stack, &search);
    return search.found;
}

struct coroutine *coroutine_find_slow(struct coroutines *own, const void *hint, uintptr_t sp)
{
    struct coroutine *found = NULL;

    lock_take(&table_lock);
    for (size_t at = place_above(sp - 1); at-- > 0;) {
        if (sp - 1 - table[at]->low < table[at]->size) {
            found = table[at];
            break;
        }
    }
    lock_drop(&table_lock);
    if (!found)
        found = find_main_stack(own, sp);
    own->recent[coroutine_slot(hint)] = found;
    return found;
}

/* ---- switching ---- */

static void coroutine_free(struct coroutine *coroutine)
{
    struct thread *thread = thread_enter();
    bool was_counted = coroutine->is_counted;

    mem_free(coroutine->values, slots_saved_bytes);
    mem_free(coroutine->front, context_before);
    mem_free(coroutine->more, coroutine->more_size);
    mem_free(coroutine->state.entries, coroutine->state.entries_max * sizeof(struct scope_entry));
    mem_free(coroutine->state.saved, coroutine->state.saved_max);
    memset(coroutine, 0, sizeof *coroutine);
    lock_take(&table_lock);
    coroutine->more = free_coroutines;
    free_coroutines = coroutine;
    lock_drop(&table_lock);
    if (thread && was_counted)
        thread->records.freed++;
}

static void save_values(struct coroutine *coroutine)
{
    if (!coroutine->values)
        coroutine->values = mem_alloc(slots_saved_bytes);
    coroutine->has_values = coroutine->values != NULL;
    if (!coroutine->has_values)
        return;
    coroutine->epoch = atomic_load_explicit(&slots_epoch, memory_order_acquire);
    slots_suspend(coroutine->values, coroutine->epoch);
}

void coroutine_switch_slow(struct coroutines *own, struct coroutine *to)
{
    struct thread *thread = thread_self;
    struct coroutine *from = own->current;
    bool ends = from->is_unlisted && from != &own->main_stack;

    if (ends)
        scope_leave_slow(thread, UINTPTR_MAX & ~(uintptr_t)FRAME_FLAGS);
    else if (slots_have_copied)
        save_values(from);
    if (origins_on)
        origin_switched(thread);
    if (from->front && thread_is_attached(thread))
        memcpy(from->front, thread_front(thread), context_before);
    if (observer && thread_is_attached(thread) && observer_handoff(thread->attached))
        observer->end(thread, thread->attached, ENDED_SUSPENDED);
    from->state = thread->state;
    thread->state = to->state;
    if (observer && thread_is_attached(thread) && observer_handoff(thread->attached))
        observer->start(thread, thread->attached);
    if (to->front && thread_is_attached(thread))
        memcpy(thread_front(thread), to->front, context_before);
    own->current = to;
    if (to->has_values) { /* one that is fresh has none: its entry attaches its own */
        to->has_values = false;
        slots_resume(to->values, to->epoch);
    }
    if (ends)
        coroutine_free(from);
}

/* Lets go of a suspended coroutine that nobody will run again: as if its attaches were left now. */
static void drop(struct coroutine *coroutine)
{
    struct coroutines *own = coroutine_own_slow();
    struct context *start = coroutine->start;

    coroutine->start = NULL;
    if (!own || (!coroutine->state.attached && !coroutine->has_values)) {
        coroutine_free(coroutine);
    } else {
        struct coroutine *here = own->current;
        bool was_unlisted = here->is_unlisted;

        here->is_unlisted = false;
        coroutine_switch_slow(own, coroutine);
        coroutine->is_unlisted = true;
        coroutine_switch_slow(own, here);
        here->is_unlisted = was_unlisted;
    }
    if (start)
        context_release(start);
}

static struct coroutine *coroutine_take(void)
{
    struct coroutine *coroutine;

    lock_take(&table_lock);
    coroutine = free_coroutines;
    if (coroutine)
        free_coroutines = coroutine->more;
    lock_drop(&table_lock);
    return coroutine ? coroutine : mem_alloc(sizeof *coroutine);
}

struct coroutine *coroutine_new(uintptr_t low, size_t size, struct context *start, void *more,
                                size_t more_size)
{
    struct coroutine *coroutine, *old;
    bool is_listed;

    if (!coroutine_own_slow() || !size || !(coroutine = coroutine_take()))
        return NULL;
    if (!coroutine_begin(coroutine)) {
        mem_free(coroutine, sizeof *coroutine);
        return NULL;
    }
    coroutine->low = low;
    coroutine->size = size;
    for (;;) {
        lock_take(&table_lock);
        old = table_take_overlapping(low, size, arch_sp());
        if (old && old == thread_self->coroutines->current)
            old->is_unlisted = true; /* dropped when it is switched away from */
        lock_drop(&table_lock);
        if (!old)
            break;
        if (!old->is_unlisted)
            drop(old);
    }
    lock_take(&table_lock);
    is_listed = table_insert(coroutine);
    lock_drop(&table_lock);
    coroutine->is_counted = start != NULL;
    thread_self->records.made += coroutine->is_counted;
    if (!is_listed) {
        coroutine_free(coroutine);
        return NULL;
    }
    coroutine->start = start;
    coroutine->more = more;
    coroutine->more_size = more_size;
    return coroutine;
}

void coroutine_made(struct coroutine *coroutine, const void *hint, uintptr_t sp)
{
    thread_self->coroutines->recent[coroutine_slot(hint)] = coroutine;
    coroutine->sp = sp;
    atomic_store_explicit(&coroutines_made, 1, memory_order_release);
}

static void forget(struct coroutines *own, const struct coroutine *coroutine)
{
    for (unsigned i = 0; i < COROUTINES_RECENT; i++) {
        if (own->recent[i] == coroutine)
            own->recent[i] = NULL;
    }
}

void coroutine_end(struct coroutines *own, struct coroutine *ended, struct coroutine *to)
{
    lock_take(&table_lock);
    if (!ended->is_unlisted)
        table_remove(ended);
    ended->is_unlisted = true;
    lock_drop(&table_lock);
    forget(own, ended);
    coroutine_switch_slow(own, to); /* drops it */
}

void coroutine_thread_ends(struct thread *thread)
{
    struct coroutines *own = thread->coroutines;

    if (!own)
        return;
    scope_leave_slow(thread, UINTPTR_MAX & ~(uintptr_t)FRAME_FLAGS);
    if (own->current != &own->main_stack) {
        coroutine_end(own, own->current, &own->main_stack);
        scope_leave_slow(thread, UINTPTR_MAX & ~(uintptr_t)FRAME_FLAGS);
    }
    memset(own->recent, 0, sizeof own->recent);
}

void coroutine_fork_lock(void)
{
    lock_take_for_fork(&table_lock);
}

void coroutine_fork_unlock(void)
{
    lock_drop_after_fork(&table_lock);
}
