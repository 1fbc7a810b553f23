/*
 * Making, switching and ending coroutines where the fast path does not hold.
 *
 * A signal handler may switch, too (user threads that are preempted by a timer), at any instruction of a switch that it
 * has interrupted: what it finds and what it leaves to be mended is written where `away` is defined (coroutine.h).
 * The list's lock guards the list only; contexts are let go, and foreign code is called, without it.
 */
#include "context/fast.h"
#include "context/coroutine.h"

#include <signal.h>
#include <string.h>

#include "base/mem.h"
#include "base/sys.h"
#include "context/coroutine_list.h"
#include "context/dangling.h"
#include "context/internal.h"
#include "context/observer.h"
#include "context/strict.h"
#include "context/thread.h"
#include "slots/origin.h"
#include "slots/slots.h"

_Atomic uint32_t coroutines_made;
atomic_bool coroutines_preempt;
_Atomic uint32_t coroutines_astray;

static struct coroutine *
    free_coroutines; /* never given back: other threads may still guess at them; under the list's lock */

/* ---- what a thread knows ---- */

/* What an attach without a scope entry has replaced must have a place when another stack runs. */
static bool coroutine_begin(struct coroutine *coroutine)
{
    if (scope_has_front && !coroutine->front)
        coroutine->front = mem_alloc(context_before);
    return coroutine->front || !scope_has_front;
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

    if (atomic_load_explicit(&coroutines_astray, memory_order_relaxed))
        found = own->main_stack.is_astray && own->main_stack.sp == sp
                    ? &own->main_stack
                    : coroutine_list_find_astray(sp);
    if (!found)
        found = coroutine_list_find(sp);
    if (!found)
        found = find_main_stack(own, sp);
    own->recent[coroutine_slot(hint)] = found;
    return found;
}

/* ---- switching ---- */

/* Foreign code is called, and values are exchanged one by one: not to be interrupted by one who switches. What a
 * thread does to itself comes all the same: a handler of crashes is to have its say. */
void coroutine_block_signals(uint64_t *before)
{
#define BIT(signal) (UINT64_C(1) << ((signal)-1))
    static const uint64_t all = ~(BIT(SIGSEGV) | BIT(SIGBUS) | BIT(SIGFPE) | BIT(SIGILL) |
                                  BIT(SIGTRAP) | BIT(SIGSYS) | BIT(SIGABRT));
#undef BIT

    (void)SYS_CALL(rt_sigprocmask, SIG_SETMASK, &all, before, sizeof all);
}

void coroutine_unblock_signals(const uint64_t *before)
{
    (void)SYS_CALL(rt_sigprocmask, SIG_SETMASK, before, NULL, sizeof *before);
}

static void load_state(struct coroutines *own, struct coroutine *to)
{
    own->current = to;
    thread_self->state = to->state;
}

struct coroutine *coroutine_find_current(struct coroutines *own, uintptr_t sp)
{
    struct coroutine *current = own->current, *here;

    if (!current->away)
        return current;
    here = coroutine_list_find(sp);
    if (!here)
        here = current->size ? &own->main_stack : current;
    if (here == current) {
        if (here->away == AWAY_TORN)
            load_state(own, here);
    } else if (here->away == AWAY || here->away == AWAY_TORN) {
        here->away = AWAY_TORN;
        load_state(own, here);
    } else {
        coroutine_switch_slow(own, here);
    }
    return here;
}

void coroutine_arrive_slow(struct coroutines *own, struct coroutine *here)
{
    struct coroutine *current = own->current;
    uint64_t before;

    if (current->away == AWAY || current->away == AWAY_TORN) {
        here->away = AWAY_TORN;
        load_state(own, here);
        return;
    }
    coroutine_block_signals(&before);
    coroutine_switch_slow(own, here);
    coroutine_unblock_signals(&before);
}

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
    coroutine_list_lock();
    coroutine->more = free_coroutines;
    free_coroutines = coroutine;
    coroutine_list_unlock();
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
    if (dangling_on)
        strict_switched(thread);
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

    coroutine_list_lock();
    coroutine = free_coroutines;
    if (coroutine)
        free_coroutines = coroutine->more;
    coroutine_list_unlock();
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
        coroutine_list_lock();
        old = coroutine_list_take_overlapping(low, size, arch_sp());
        if (old && old == thread_self->coroutines->current)
            old->is_unlisted = true; /* dropped when it is switched away from */
        coroutine_list_unlock();
        if (!old)
            break;
        if (!old->is_unlisted)
            drop(old);
    }
    coroutine_list_lock();
    is_listed = coroutine_list_insert(coroutine);
    coroutine_list_unlock();
    coroutine->is_counted = start != NULL;
    thread_self->records.made += coroutine->is_counted;
    if (!is_listed) {
        coroutine_free(coroutine);
        return NULL;
    }
    coroutine->away = !start             ? HERE /* its first function is not ours */
                      : guard_is_clear() ? AWAY
                                         : AWAY_WHOLE;
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
    coroutine_list_lock();
    if (!ended->is_unlisted)
        coroutine_list_remove(ended);
    ended->is_unlisted = true;
    coroutine_list_unlock();
    forget(own, ended);
    coroutine_switch_slow(own, to); /* drops it */
    to->away = 0;
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
