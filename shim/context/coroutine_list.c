/*
 * The list of coroutines, all but main ones, sorted by stack address. Stacks may lie inside one another (a
 * coroutine whose stack is an array of another one's): the innermost is the one meant.
 *
 * Who changes it holds the lock, and has signals blocked where a handler may switch coroutines (ucontext.c). Who looks
 * takes no lock, because a handler that switches may have interrupted whoever has it: it reads, and reads again if
 * `changes` has moved meanwhile. So rows that became too few are never given back (all of them together are fewer
 * than those in use), and neither are coroutines.
 */
#include "context/coroutine_list.h"

#include <stdatomic.h>
#include <string.h>

#include "base/lock.h"
#include "base/mem.h"
#include "context/coroutine.h"

enum { ROWS_FIRST = 64, SPINS = 128 };

struct rows {
    size_t max;
    struct coroutine *at[];
};

static struct lock list_lock;
static _Atomic(struct rows *) rows;
static _Atomic size_t count;
static _Atomic uint32_t changes; /* odd while somebody changes it */

void coroutine_list_lock(void)
{
    lock_take(&list_lock);
}

void coroutine_list_unlock(void)
{
    lock_drop(&list_lock);
}

static void change_begin(void)
{
    atomic_fetch_add_explicit(&changes, 1, memory_order_relaxed);
    atomic_thread_fence(memory_order_release);
}

static void change_end(void)
{
    atomic_fetch_add_explicit(&changes, 1, memory_order_release);
}

/* The first of `n` rows whose stack begins above `address`. */
static size_t row_above(const struct rows *list, size_t n, uintptr_t address)
{
    size_t low = 0, high = n;

    while (low < high) {
        size_t middle = (low + high) / 2;
        const struct coroutine *coroutine = __atomic_load_n(
            &list->at[middle], __ATOMIC_RELAXED); /* NULL: a row that is being filled */

        if (coroutine && __atomic_load_n(&coroutine->low, __ATOMIC_RELAXED) > address)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static bool grow(struct rows *old)
{
    size_t max = old ? old->max * 2 : ROWS_FIRST;
    struct rows *larger = mem_alloc(sizeof *larger + max * sizeof larger->at[0]);

    if (!larger)
        return false;
    larger->max = max;
    if (old)
        memcpy(larger->at, old->at, old->max * sizeof old->at[0]);
    atomic_store_explicit(&rows, larger, memory_order_release);
    return true;
}

bool coroutine_list_insert(struct coroutine *coroutine)
{
    struct rows *list = atomic_load_explicit(&rows, memory_order_relaxed);
    size_t n = atomic_load_explicit(&count, memory_order_relaxed), at;

    if ((!list || n == list->max) && !grow(list))
        return false;
    list = atomic_load_explicit(&rows, memory_order_relaxed);
    at = row_above(list, n, coroutine->low);
    change_begin();
    memmove(list->at + at + 1, list->at + at, (n - at) * sizeof list->at[0]);
    list->at[at] = coroutine;
    atomic_store_explicit(&count, n + 1, memory_order_relaxed);
    change_end();
    return true;
}

static void remove_at(size_t at)
{
    struct rows *list = atomic_load_explicit(&rows, memory_order_relaxed);
    size_t n = atomic_load_explicit(&count, memory_order_relaxed) - 1;

    change_begin();
    memmove(list->at + at, list->at + at + 1, (n - at) * sizeof list->at[0]);
    atomic_store_explicit(&count, n, memory_order_relaxed);
    change_end();
}

void coroutine_list_remove(const struct coroutine *coroutine)
{
    struct rows *list = atomic_load_explicit(&rows, memory_order_relaxed);
    size_t at = list ? row_above(list, atomic_load(&count), coroutine->low) : 0;

    while (at-- > 0 && list->at[at]->low == coroutine->low) {
        if (list->at[at] == coroutine) {
            remove_at(at);
            return;
        }
    }
}

struct coroutine *coroutine_list_take_overlapping(uintptr_t low, size_t size, uintptr_t sp)
{
    struct rows *list = atomic_load_explicit(&rows, memory_order_relaxed);
    size_t at = list ? row_above(list, atomic_load(&count), low + size - 1) : 0;

    while (at-- > 0) {
        struct coroutine *coroutine = list->at[at];
        bool is_within = coroutine->low >= low;

        if (coroutine->low + coroutine->size <= low)
            continue;
        /* We are on that stack, and it has lent the new one a piece of its own. */
        if (!is_within && sp - coroutine->low < coroutine->size)
            continue;
        remove_at(at);
        return coroutine;
    }
    return NULL;
}

static struct coroutine *look(const struct rows *list, size_t n, uintptr_t address)
{
    for (size_t at = row_above(list, n, address); at-- > 0;) {
        struct coroutine *coroutine = __atomic_load_n(&list->at[at], __ATOMIC_RELAXED);

        if (coroutine && address - __atomic_load_n(&coroutine->low, __ATOMIC_RELAXED) <
                             __atomic_load_n(&coroutine->size, __ATOMIC_RELAXED))
            return coroutine;
    }
    return NULL;
}

static struct coroutine *look_astray(const struct rows *list, size_t n, uintptr_t sp)
{
    for (size_t at = 0; at < n; at++) {
        struct coroutine *coroutine = __atomic_load_n(&list->at[at], __ATOMIC_RELAXED);

        if (coroutine && coroutine->is_astray && coroutine->sp == sp)
            return coroutine;
    }
    return NULL;
}

static struct coroutine *find(uintptr_t sp, bool is_astray)
{
    for (unsigned spins = 0;; spins++) {
        uint32_t before = atomic_load_explicit(&changes, memory_order_acquire);
        const struct rows *list = atomic_load_explicit(&rows, memory_order_acquire);
        size_t n = atomic_load_explicit(&count, memory_order_relaxed);
        struct coroutine *found = NULL;

        if (!list)
            return NULL;
        if (!(before & 1) || lock_is_mine(&list_lock)) {
            n = n < list->max ? n : list->max;
            found = is_astray ? look_astray(list, n, sp) : look(list, n, sp - 1);
            atomic_thread_fence(memory_order_acquire);
            if (before & 1 || atomic_load_explicit(&changes, memory_order_relaxed) == before)
                return found; /* or a handler has interrupted the change: it cannot wait for it */
        }
        if (spins < SPINS)
            arch_pause();
        else
            lock_await(&list_lock);
    }
}

struct coroutine *coroutine_list_find(uintptr_t sp)
{
    return find(sp, false);
}

struct coroutine *coroutine_list_find_astray(uintptr_t sp)
{
    return find(sp, true);
}

bool coroutine_list_may_grow(struct thread *thread)
{
    const struct coroutines *own = thread->coroutines;
    const struct coroutine *current = own ? own->current : NULL, *here;

    if (!current || !current->away)
        return true;
    here = coroutine_list_find(arch_sp());
    return current->away != AWAY_TORN && (here ? here == current : !current->size);
}

void coroutine_list_grown(struct thread *thread)
{
    struct coroutine *current = thread->coroutines ? thread->coroutines->current : NULL;

    if (!current || !current->away)
        return;
    current->state.entries = thread->entries;
    current->state.entries_max = thread->entries_max;
    current->state.saved = thread->saved;
    current->state.saved_max = thread->saved_max;
}

void coroutine_list_fork_lock(void)
{
    lock_take_for_fork(&list_lock);
}

void coroutine_list_fork_unlock(void)
{
    lock_drop_after_fork(&list_lock);
}
