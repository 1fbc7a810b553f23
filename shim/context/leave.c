/*
 * The end of a thread: everything that its block caches goes back to where it came from, then the block.
 *
 * Rules: foreign code (free functions, destructors) may hand over once more, so what that makes is let
 * go last.
 */
#include "context/coroutine.h"
#include "context/dangling.h"
#include "context/internal.h"
#include "context/pool/blocks.h"
#include "context/pool/record.h"
#include "context/pool/slab.h"
#include "context/scope.h"
#include "context/thread.h"
#include "context/variables.h"
#include "slots/origin.h"

void thread_let_go_of_caches(struct thread *thread)
{
    context_drop_snapshot(thread);
    context_flush_batch(thread);
    context_flush_releases(thread);
    context_drop_lent(thread);
    record_flush(thread);
    slab_flush(thread);
    blocks_flush(thread);
    thread->suppress = 0;
    if (origins_on)
        origin_gone(thread);
    if (dangling_on)
        dangling_look();
    vars_leave(thread, UINTPTR_MAX);
    thread->variables.id = 0;
    if (thread->variables.map) {
        struct vars_map *vars = thread->variables.map;

        thread->variables.map = NULL;
        vars_unref(vars);
    }
    context_drop_snapshot(thread); /* the free functions may have handed over */
    blocks_flush(thread);
    thread_give_spares(thread);
}

/* The end of a thread that did more than run. */
static __attribute__((noinline)) void thread_let_go(struct thread *thread)
{
    scope_leave_slow(thread, UINTPTR_MAX & ~(uintptr_t)FRAME_FLAGS);
    coroutine_thread_ends(thread);
    thread_let_go_of_caches(thread);
    thread_give_back(thread);
}

void thread_leave_plain(struct thread *thread)
{
    if (unlikely(((uintptr_t)thread->attached | (uintptr_t)thread->snapshot.context |
                  (uintptr_t)thread->deferred.context | (uintptr_t)thread->batch.context |
                  thread->records.freed_last | (uintptr_t)thread->slab.objects |
                  (uintptr_t)thread->spare | (uintptr_t)thread->coroutines |
                  (uintptr_t)thread->blocks.chain | (uintptr_t)thread->blocks.other |
                  (uintptr_t)thread->lending | (uintptr_t)thread->variables.map |
                  thread->variables.id | thread->suppress) != 0))
        thread_let_go(thread);
    else
        thread_give_back(thread);
}

void thread_leave(struct thread *thread)
{
    if (unlikely(thread == &thread_unknown))
        return;
    thread->building = 0; /* a getter may have ended the thread */
    thread->trace.of = TRACE_OF_NOBODY;
    if (unlikely(thread->moving))
        scope_abandon(thread);
    if (thread->attached || origins_on)
        thread_let_go(thread);
    else
        thread_leave_plain(thread);
}

void thread_leave_at_exit(void *block)
{
    if (thread_self == block)
        thread_leave(block);
}
