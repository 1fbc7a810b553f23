/*
 * Attaching and leaving while BATON_STRICT is on, where plain words are all that is copied, on a thread that has
 * nothing attached: as in front.h, with what strict asks besides. What the thread had at its last attach is in
 * thread_front still, so one comparison of all words says whether it is to be saved, and looked at, at all.
 * In line in scope_any.c.
 *
 * Rules: as in front.h; what cannot be done so has changed nothing.
 */
#ifndef BATON_CONTEXT_STRICT_FRONT_H
#define BATON_CONTEXT_STRICT_FRONT_H

#include "context/dangling.h"
#include "context/front.h"
#include "context/strict.h"
#include "slots/origin.h"

static inline bool strict_front_enter(struct thread *thread, struct context *context,
                                      uintptr_t frame_mark)
{
    if (unlikely(thread->attached || !guard_allows_short_ways() ||
                 context->epoch < atomic_load_explicit(&slots_epoch, memory_order_acquire) ||
                 frame_mark & FRAME_THREAD || thread->moving))
        return false;
    if (unlikely(!(thread->worker & WORKER_WORDS) || !words_unchanged(0, thread)))
        strict_front_changed(thread);
    if (unlikely(origin_may_own_any(thread)))
        slots_set_aside(thread, (char *)thread_front(thread), context->epoch);
    front_attach(thread, context, frame_mark);
    words_detach(0, context); /* writes what a block has */
    dangling_look();
    return true;
}

static inline bool strict_front_leave(struct thread *thread, uintptr_t sp)
{
    if (unlikely(!front_is_at(thread, sp)))
        return false;
    words_detach(0, thread);
    if (unlikely(origin_may_own_any(thread)))
        origin_back(thread);
    front_detach(thread);
    return true;
}

#endif
