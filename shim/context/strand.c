/*
 * The table of strands, and switching where the fast path does not hold.
 *
 * The table lists every strand but homes, sorted by stack address. Stacks may lie inside one another
 * (a coroutine whose stack is an array of another one's): the innermost is the one meant. The lock
 * guards the table only; contexts are let go, and foreign code is called, without it.
 */
#include "context/strand.h"

#include <string.h>

#include "base/lock.h"
#include "base/mem.h"
#include "context/private.h"
#include "context/thread.h"
#include "slots/origin.h"
#include "slots/slots.h"

_Atomic uint32_t strands_made;

static struct lock table_lock;
static struct strand *free_strands; /* never given back: other threads may still guess at them */
static struct strand **table;
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

static bool table_insert(struct strand *strand)
{
    size_t at;

    if (table_count == table_max) {
        size_t max = table_max ? table_max * 2 : 64;
        struct strand **larger = mem_alloc(max * sizeof(struct strand *));

        if (!larger)
            return false;
        if (table_count)
            memcpy(larger, table, table_count * sizeof(struct strand *));
        mem_free(table, table_max * sizeof(struct strand *));
        table = larger;
        table_max = max;
    }
    at = place_above(strand->low);
    memmove(table + at + 1, table + at, (table_count - at) * sizeof(struct strand *));
    table[at] = strand;
    table_count++;
    return true;
}

static void table_remove_at(size_t at)
{
    table_count--;
    memmove(table + at, table + at + 1, (table_count - at) * sizeof(struct strand *));
}

static void table_remove(struct strand *strand)
{
    for (size_t at = place_above(strand->low); at-- > 0 && table[at]->low == strand->low;) {
        if (table[at] == strand) {
            table_remove_at(at);
            return;
        }
    }
}

/* A strand whose stack is in the way of a new one, made from stack address `sp`; taken off the table. */
static struct strand *table_take_overlapping(uintptr_t low, size_t size, uintptr_t sp)
{
    for (size_t at = place_above(low + size - 1); at-- > 0;) {
        struct strand *strand = table[at];
        bool is_inside = strand->low >= low;

        if (strand->low + strand->size <= low)
            continue;
        /* We are on that stack, and it has lent the new one a piece of its own. */
        if (!is_inside && sp - strand->low < strand->size)
            continue;
        table_remove_at(at);
        return strand;
    }
    return NULL;
}

/* ---- what a thread knows ---- */

/* What an attach without a level has replaced must have a place when another stack runs. */
static bool strand_begin(struct strand *strand)
{
    if (scope_is_wordy && !strand->front)
        strand->front = mem_alloc(context_before);
    return strand->front || !scope_is_wordy;
}

struct strands *strand_own_slow(void)
{
    struct thread *thread = thread_enter();
    struct strands *own = thread ? thread->strands : NULL;

    if (!thread || own)
        return own;
    own = mem_alloc(sizeof *own);
    if (!own)
        return NULL;
    if (!strand_begin(&own->home)) {
        mem_free(own, sizeof *own);
        return NULL;
    }
    own->current = &own->home;
    thread->strands = own;
    return own;
}

struct strand *strand_find_slow(struct strands *own, const void *hint, uintptr_t sp)
{
    struct strand *found = &own->home;

    lock_take(&table_lock);
    for (size_t at = place_above(sp - 1); at-- > 0;) {
        if (sp - 1 - table[at]->low < table[at]->size) {
            found = table[at];
            break;
        }
    }
    lock_drop(&table_lock);
    own->recent[strand_slot(hint)] = found;
    return found;
}

/* ---- switching ---- */

static void strand_free(struct strand *strand)
{
    struct thread *thread = thread_enter();
    bool was_counted = strand->is_counted;

    mem_free(strand->values, slots_saved_bytes);
    mem_free(strand->front, context_before);
    mem_free(strand->more, strand->more_size);
    mem_free(strand->state.levels, strand->state.levels_max * scope_level_size);
    mem_free(strand->state.saved, strand->state.saved_max);
    memset(strand, 0, sizeof *strand);
    lock_take(&table_lock);
    strand->more = free_strands;
    free_strands = strand;
    lock_drop(&table_lock);
    if (thread && was_counted)
        thread->records_freed++;
}

static void save_values(struct strand *strand)
{
    if (!strand->values)
        strand->values = mem_alloc(slots_saved_bytes);
    strand->has_values = strand->values != NULL;
    if (!strand->has_values)
        return;
    strand->epoch = atomic_load_explicit(&slots_epoch, memory_order_acquire);
    slots_suspend(strand->values, strand->epoch);
}

void strand_switch_slow(struct strands *own, struct strand *to)
{
    struct thread *thread = thread_self;
    struct strand *from = own->current;
    bool ends = from->is_unlisted && from != &own->home;

    if (ends)
        scope_leave_slow(thread, UINTPTR_MAX & ~(uintptr_t)MARK_FLAGS);
    else if (slots_have_copied)
        save_values(from);
    if (origins_on)
        origin_switched(thread);
    if (from->front && thread_is_attached(thread))
        memcpy(from->front, thread_front(thread), context_before);
    from->state = thread->state;
    thread->state = to->state;
    if (to->front && thread_is_attached(thread))
        memcpy(thread_front(thread), to->front, context_before);
    own->current = to;
    if (to->has_values) { /* one that is fresh has none: its entry attaches its own */
        to->has_values = false;
        slots_resume(to->values, to->epoch);
    }
    if (ends)
        strand_free(from);
}

/* Lets go of a suspended strand that nobody will run again: as if its attaches were left now. */
static void drop(struct strand *strand)
{
    struct strands *own = strand_own_slow();
    struct context *start = strand->start;

    strand->start = NULL;
    if (!own || (!strand->state.over && !strand->has_values)) {
        strand_free(strand);
    } else {
        struct strand *here = own->current;
        bool was_unlisted = here->is_unlisted;

        here->is_unlisted = false;
        strand_switch_slow(own, strand);
        strand->is_unlisted = true;
        strand_switch_slow(own, here);
        here->is_unlisted = was_unlisted;
    }
    if (start)
        context_release(start);
}

static struct strand *strand_take(void)
{
    struct strand *strand;

    lock_take(&table_lock);
    strand = free_strands;
    if (strand)
        free_strands = strand->more;
    lock_drop(&table_lock);
    return strand ? strand : mem_alloc(sizeof *strand);
}

struct strand *strand_new(uintptr_t low, size_t size, struct context *start, void *more,
                          size_t more_size)
{
    struct strand *strand, *old;
    bool is_listed;

    if (!strand_own_slow() || !size || !(strand = strand_take()))
        return NULL;
    if (!strand_begin(strand)) {
        mem_free(strand, sizeof *strand);
        return NULL;
    }
    strand->low = low;
    strand->size = size;
    for (;;) {
        lock_take(&table_lock);
        old = table_take_overlapping(low, size, arch_sp());
        if (old && old == thread_self->strands->current)
            old->is_unlisted = true; /* dropped when it is switched away from */
        lock_drop(&table_lock);
        if (!old)
            break;
        if (!old->is_unlisted)
            drop(old);
    }
    lock_take(&table_lock);
    is_listed = table_insert(strand);
    lock_drop(&table_lock);
    strand->is_counted = start != NULL;
    thread_self->records_made += strand->is_counted;
    if (!is_listed) {
        strand_free(strand);
        return NULL;
    }
    strand->start = start;
    strand->more = more;
    strand->more_size = more_size;
    return strand;
}

void strand_made(struct strand *strand, const void *hint, uintptr_t sp)
{
    thread_self->strands->recent[strand_slot(hint)] = strand;
    strand->sp = sp;
    atomic_store_explicit(&strands_made, 1, memory_order_release);
}

static void forget(struct strands *own, const struct strand *strand)
{
    for (unsigned i = 0; i < STRANDS_RECENT; i++) {
        if (own->recent[i] == strand)
            own->recent[i] = NULL;
    }
}

void strand_end(struct strands *own, struct strand *ended, struct strand *to)
{
    lock_take(&table_lock);
    if (!ended->is_unlisted)
        table_remove(ended);
    ended->is_unlisted = true;
    lock_drop(&table_lock);
    forget(own, ended);
    strand_switch_slow(own, to); /* drops it */
}

void strand_thread_ends(struct thread *thread)
{
    struct strands *own = thread->strands;

    if (!own)
        return;
    scope_leave_slow(thread, UINTPTR_MAX & ~(uintptr_t)MARK_FLAGS);
    if (own->current != &own->home)
        strand_end(own, own->current, &own->home);
    memset(own->recent, 0, sizeof own->recent);
}

void strand_fork_lock(void)
{
    lock_take_for_fork(&table_lock);
}

void strand_fork_unlock(void)
{
    lock_drop_after_fork(&table_lock);
}
