/*
 * What all threads ask before they do anything: which world they are in (context_guard), and the few
 * facts about all contexts that are fixed at the start.
 */
#include "context/internal.h"
#include "context/reads.h"
#include "context/thread.h"

#include "slots/slots.h"

_Atomic uintptr_t context_guard = GUARD_OFF, context_words_guard = GUARD_OFF,
                  context_keep_guard = GUARD_OFF, context_start_guard = GUARD_OFF,
                  context_front_guard = GUARD_OFF,
                  context_watched_guard = GUARD_OFF | GUARD_OBSERVED;
_Atomic int64_t context_alive;
bool context_captures_by_ways, context_attaches_by_ways, context_is_forked, context_may_be_old,
    scope_has_front, scope_is_words_only, reads_are_counted, slot_counts_on, threads_are_cancelled;
atomic_bool reads_have_variables, contexts_looked_at;
struct context *context_empty;
intptr_t errno_from_tp;
size_t context_before, context_bytes;
const uint64_t context_no_draft[sizeof(struct context) / sizeof(uint64_t) + SLOTS_MAX];
unsigned context_bits, context_borrowed_at;

void guard_raise(uintptr_t bits)
{
    atomic_fetch_or(&context_words_guard, bits);
    atomic_fetch_or(&context_keep_guard, bits);
    atomic_fetch_or(&context_start_guard, bits);
    atomic_fetch_or(&context_front_guard, bits & ~(uintptr_t)GUARD_EPOCH);
    atomic_fetch_or(&context_watched_guard, bits & ~(uintptr_t)GUARD_OBSERVED);
    if (bits & GUARD_OBSERVED)
        atomic_fetch_and(&context_watched_guard, ~(uintptr_t)GUARD_OBSERVED);
    atomic_fetch_or(&context_guard, bits);
}

void guard_note_cancel(void)
{
    if (threads_are_cancelled)
        return;
    threads_are_cancelled = true;
    atomic_fetch_or(&context_start_guard, GUARD_COUNTED);
}

static void lower(uintptr_t bits)
{
    atomic_fetch_and(&context_words_guard, ~bits);
    atomic_fetch_and(&context_front_guard, ~bits);
    atomic_fetch_and(&context_watched_guard, ~bits);
    atomic_fetch_and(&context_guard, ~bits);
    atomic_fetch_and(&context_keep_guard, ~bits);
    atomic_fetch_and(&context_start_guard, ~bits);
}

void guard_note_stale(void)
{
    guard_raise(GUARD_STALE);
}

void context_look_again(void)
{
    slots_resolve();
    if (!slots_stale) {
        lower(GUARD_STALE);
        if (slots_stale) /* again, while we cleared */
            guard_note_stale();
    }
}
