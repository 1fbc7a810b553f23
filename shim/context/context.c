/*
 * The room as a whole: set up from the slots at the start, and held still around fork.
 */
#include "context/context.h"

#include "base/map.h"
#include "base/mem.h"
#include "context/coroutine_list.h"
#include "context/dangling.h"
#include "context/gone.h"
#include "context/internal.h"
#include "context/pool/blocks.h"
#include "context/pool/listed.h"
#include "context/pool/record.h"
#include "context/pool/slab.h"
#include "context/slot_counts.h"
#include "context/strict.h"
#include "context/thread.h"
#include "context/values.h"
#include "base/errno_at.h"
#include "context/variables.h"
#include "slots/moves.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/slots.h"
#include "slots/words.h"

void context_init(uint32_t max_age_ms, uint32_t max_hops)
{
    uintptr_t guard = 0;

    errno_begin();
    capture_set_limits(max_age_ms, max_hops);
    if (!context_make_empty())
        return; /* stays off */
    slots_initial = context_copied(context_empty);
    slots_set_initial();
    keys_begin();
    if (dangling_on)
        slots_always_build =
            true; /* so that it is known at every moment which contexts hold a value */
    moves_plan();
    moves_expect_pair();
    policies_begin();
    if (dangling_on)
        dangling_plan();
    scope_is_words_only = slots_are_words && words_are_quick && !slots_have_owned_keys &&
                          (dangling_on || !slots_always_build) && context_before == words_bytes &&
                          thread_reserve_front(context_before);
    scope_has_front =
        scope_is_words_only ||
        ((atomic_load(&slots_moves) || atomic_load(&slots_moves_out) || slots_word.is_expected) &&
         thread_reserve_front(context_before));
    if (scope_is_words_only && !dangling_on)
        guard |= GUARD_WORDS;
    else if (slots_have_copied || slots_have_owned_keys)
        guard |= GUARD_COPIED;
    if (slots_stale)
        guard |= GUARD_STALE;
    atomic_store(&context_words_guard, guard ^ GUARD_WORDS);
    atomic_store(&context_keep_guard, guard | (slot_counts_on ? GUARD_COUNTED : 0u));
    atomic_store(&context_start_guard,
                 guard | (slot_counts_on || threads_are_cancelled ? GUARD_COUNTED : 0u));
    if (threads_are_cancelled) /* said by another thread meanwhile */
        atomic_fetch_or(&context_start_guard, GUARD_COUNTED);
    atomic_store(&context_front_guard,
                 scope_has_front && !dangling_on ? guard ^ GUARD_COPIED : GUARD_OFF);
    atomic_store(&context_watched_guard, guard | GUARD_OBSERVED);
    capture_choose();
    scope_choose();
    atomic_store(&context_guard, guard);
}

void context_fork_lock(void)
{
    map_fork_lock();
    vars_fork_lock();
    dangling_fork_lock();
    slots_fork_lock();
    thread_fork_lock();
    coroutine_list_fork_lock();
    values_fork_lock();
    slab_fork_lock();
    listed_fork_lock();
    blocks_fork_lock();
    record_fork_lock();
    mem_fork_lock();
}

/*
 * In the child what is under way is counted as the parent's, and what threads that are not here hold stays: nobody
 * can say what of it may still be run. The one thread that is here keeps its references as ever, those that
 * it caches too: its values would wait for them when it ends.
 */
static void forget_parent(struct thread *thread)
{
    context_is_forked = true;
    atomic_store(&context_alive, 0);
    if (thread == &thread_unknown)
        return;
    thread->contexts = (struct thread_contexts){0, 0};
    thread->records.made = 0;
    thread->records.freed = -(uint64_t)thread->records.untold; /* what is told later */
    if (slot_counts_on)
        slot_counts_forget(thread);
}

void context_fork_unlock(bool is_child)
{
    mem_fork_unlock();
    record_fork_unlock();
    blocks_fork_unlock();
    listed_fork_unlock();
    slab_fork_unlock();
    values_fork_unlock(is_child);
    coroutine_list_fork_unlock();
    thread_fork_unlock(is_child);
    if (is_child)
        gone_forked();
    slots_fork_unlock();
    dangling_fork_unlock();
    vars_fork_unlock();
    map_fork_unlock();
    if (is_child) {
        forget_parent(thread_self);
        if (origins_on)
            origin_forked(thread_self);
        if (dangling_on)
            strict_forked();
    }
}
