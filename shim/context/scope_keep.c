/*
 * Attaches of callbacks that run again (FRAME_KEEP, rule A9): what such a callback set is what its next run starts from.
 *
 * Rules: as in scope.c. What is kept is the holder's reference, never the attach's: it is exchanged where the attach is
 * left by its own frame, and stays what it was where the frame is unwound.
 */
#include "context/dangling.h"
#include "context/internal.h"
#include "context/observer.h"
#include "context/scope.h"
#include "context/slot_counts.h"
#include "context/variables.h"
#include "slots/slots.h"

bool scope_enter_keep(struct context *context, uintptr_t frame_mark)
{
    if (!scope_try_enter(thread_self, context, frame_mark) &&
        !scope_enter_slow(context, frame_mark))
        return false;
    if (unlikely(slot_counts_on))
        slot_counts_ran(thread_self, context);
    return true;
}

static bool is_kept(const struct context *attached, uintptr_t frame_mark,
                    const struct context *context)
{
    const struct context *base = attached->flags & CONTEXT_OVERLAY ? attached->base : attached;

    return (frame_mark & (FRAME_KEEP | FRAME_OWNED)) == FRAME_KEEP && (!context || base == context);
}

bool scope_keeps(struct thread *thread, const struct context *context, uintptr_t sp)
{
    if (thread_is_attached(thread))
        scope_drop_stale(thread, sp + 1); /* that frame has not attached yet */
    if (!thread_is_attached(thread))
        return false;
    if (is_kept(thread->attached, thread->frame_mark, context))
        return true;
    for (uint32_t i = thread->depth; i-- > 0;) {
        const struct scope_entry *entry = &thread->entries[i];

        if (entry->attached && is_kept(entry->attached, entry->frame_mark, context))
            return true;
    }
    return false;
}

struct context *scope_leave_kept(struct thread *thread, uintptr_t sp)
{
    struct context *kept = NULL;

    vars_leave(thread, sp);
    while (thread_is_attached(thread) && (thread->frame_mark & ~(uintptr_t)FRAME_FLAGS) < sp &&
           !scope_is_put_back(thread))
        scope_pop(thread);
    if (thread_is_attached(thread) &&
        (thread->frame_mark & ~(uintptr_t)FRAME_SLOW) == (sp | FRAME_KEEP)) {
        kept = thread->attached->flags & CONTEXT_OVERLAY ? thread->attached->base
                                                         : thread->attached;
        scope_pop(thread);
    }
    return kept;
}

struct context *scope_leave_keep(struct thread *thread, uintptr_t sp, struct context *context)
{
    struct context *attached, *next = NULL;

    /* First whatever the callback left above us, then look at what it made of our own. */
    while (thread_is_attached(thread) && (thread->frame_mark & ~(uintptr_t)FRAME_FLAGS) < sp &&
           !scope_is_put_back(thread))
        scope_pop(thread);
    attached = thread->attached;
    if (!attached || (thread->frame_mark & ~(uintptr_t)FRAME_FLAGS) != sp)
        return context; /* already left: an exception passed, or a stale drop */
    if (attached->flags & CONTEXT_OVERLAY ||
        (slots_have_copied && (slots_always_build || !slots_same(context_copied(context)))))
        next = context_visible(thread);
    if (next && unlikely(dangling_on))
        dangling_succeeds(observer_behind(context), next);
    if (next && context->flags & (CONTEXT_WATCHED | CONTEXT_TAGGED))
        next = observer->succeed(context, next);
    scope_pop(thread);
    if (!next)
        return context;
    context_release(context);
    return next;
}
