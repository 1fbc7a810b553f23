/*
 * The copied slots of an attach that is made or left, while getters and setters run: foreign code, which may attach
 * inside of this, throw, jump, or end the thread. What it leaves so is found by the personality of the frames here, by
 * the thread's next attach, or at the thread's end (scope_abandon).
 *
 * Rules: thread.saved does not move meanwhile (entry_push), so attaches inside make do with the room that there is; the
 * outermost of them is the one that is known.
 */
#include <errno.h>

#include "context/coroutine.h"
#include "context/front_out.h"
#include "context/internal.h"
#include "context/thread.h"
#include "context/unwind.h"
#include "slots/moves.h"
#include "slots/slots.h"

void scope_abandon(struct thread *thread)
{
    struct context *context = thread->entered, *own = thread->entered_overlay,
                   *waiting = thread->waiting;

    thread->moving = 0;
    thread->entered = thread->entered_overlay = thread->waiting = NULL;
    if (thread->saved_used > thread->moving_from)
        thread->saved_used = thread->moving_from;
    if (own) {
        overlay_reclaim(own, false);
        overlay_free(own);
    }
    if (context)
        context_release(context);
    if (waiting)
        context_release(waiting);
}

personality_routine baton_move_personality;

__attribute__((used, visibility("hidden"))) int
baton_move_personality(int version, int actions, uint64_t exception_class,
                       struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding)
{
    struct thread *thread = thread_self;

    if (actions & UNWIND_CLEANUP_PHASE && thread->moving &&
        unwind_frame_sp(unwinding, __builtin_return_address(0)) == thread->moving)
        scope_abandon(thread);
    return UNWIND_CONTINUE;
}

ARCH_PERSONALITY(baton_move_personality);

static inline __attribute__((always_inline)) bool
begin(struct thread *thread, uintptr_t sp, size_t from, struct context *owned, struct context *own)
{
    if (thread->moving)
        return false; /* inside of a getter or setter */
    thread->moving = sp;
    thread->moving_from = from;
    thread->entered = owned;
    thread->entered_overlay = own;
    return true;
}

static inline void end(struct thread *thread, bool is_known)
{
    if (is_known) {
        thread->moving = 0;
        thread->entered = thread->entered_overlay = NULL;
    }
}

GUARDED void scope_save(struct thread *thread, struct context *owned, struct context *own,
                        uint32_t epoch)
{
    GUARDED_FRAME_BY(baton_move_personality);
    size_t at = thread->saved_used;
    bool is_known = begin(thread, arch_sp_framed(), at, owned, own);

    thread->saved_used = at + slots_saved_bytes;
    slots_save(thread->saved + at, epoch);
    end(thread, is_known);
}

GUARDED void scope_write(struct thread *thread, struct context *context, size_t saved_at,
                         uint32_t epoch)
{
    GUARDED_FRAME_BY(baton_move_personality);
    bool is_known = begin(thread, arch_sp_framed(), thread->saved_used, NULL, NULL);

    slots_write(context_copied(context), context->epoch, thread->saved + saved_at, epoch,
                !coroutine_is_main_stack(thread));
    end(thread, is_known);
}

GUARDED void scope_put_back(struct thread *thread, size_t saved_at, const void *borrowed,
                            uint32_t epoch)
{
    GUARDED_FRAME_BY(baton_move_personality);
    bool is_known = begin(thread, arch_sp_framed(), saved_at, NULL, NULL);

    slots_restore(thread->saved + saved_at, borrowed, epoch);
    end(thread, is_known);
}

GUARDED void scope_put_back_front(struct thread *thread, struct context *context,
                                  struct context *own)
{
    GUARDED_FRAME_BY(baton_move_personality);
    bool is_known = begin(thread, arch_sp_framed(), thread->saved_used,
                          thread->frame_mark & FRAME_OWNED ? context : NULL, own);

    thread->attached = NULL; /* a setter that leaves is not called again */
    thread->frame_mark = 0;
    slots_restore(thread_front(thread), NULL, context->epoch);
    end(thread, is_known);
}

/* Where the saved values that begin there end. */
static inline char *saved_end(const struct thread *thread, size_t saved_at)
{
    return thread->saved + saved_at + context_before;
}

static inline bool may_move_in(const struct thread *thread, const struct context *context,
                               uintptr_t frame_mark, const struct slot_moves *moves)
{
    return moves && front_is_right(moves, context->epoch) && guard_allows_short_ways() &&
           !(frame_mark & FRAME_THREAD) && thread->depth < thread->entries_max &&
           !(thread->attached && thread->frame_mark <= frame_mark) && !thread->moving &&
           thread->saved_used + SAVED_ENTRIES * slots_saved_bytes <= thread->saved_max;
}

GUARDED bool scope_move_in(struct thread *thread, struct context *context, uintptr_t frame_mark)
{
    GUARDED_FRAME_BY(baton_move_personality);
    const struct slot_moves *moves = atomic_load_explicit(&slots_moves_out, memory_order_acquire);
    size_t at = thread->saved_used;
    int saved_errno = errno;
    struct scope_entry *entry;

    if (!may_move_in(thread, context, frame_mark, moves))
        return false;
    begin(thread, arch_sp_framed(), at, frame_mark & FRAME_OWNED ? context : NULL, NULL);
    thread->saved_used = at + slots_saved_bytes;
    moves_save_out(moves, saved_end(thread, at));
    thread->entered = NULL; /* from here on the attach has it */
    if (unlikely(thread->saved_used > at + slots_saved_bytes)) {
        errno = saved_errno;
        return false;
    }
    thread->moving_from = thread->saved_used = at + slots_saved_bytes;
    entry = &thread->entries[thread->depth++];
    entry->attached = thread->attached;
    entry->frame_mark = thread->frame_mark;
    entry->saved_at = at;
    entry->epoch = context->epoch;
    thread->attached = context;
    thread->frame_mark = frame_mark | FRAME_SLOW;
    moves_write_out(moves, context, saved_end(thread, at));
    thread->moving = 0;
    errno = saved_errno;
    return true;
}

GUARDED bool scope_move_out(struct thread *thread, uintptr_t sp)
{
    GUARDED_FRAME_BY(baton_move_personality);
    struct scope_entry *entry;
    struct context *context = thread->attached;
    const struct slot_moves *moves;
    uintptr_t frame_mark = thread->frame_mark;
    int saved_errno = errno;
    size_t saved_at;
    uint32_t depth = thread->depth;

    if (!depth || (frame_mark & ~(uintptr_t)FRAME_OWNED) != (sp | FRAME_SLOW) ||
        !thread_is_attached(thread) ||
        context->flags & (CONTEXT_OVERLAY | CONTEXT_WATCHED | CONTEXT_TAGGED))
        return false;
    entry = &thread->entries[depth - 1];
    saved_at = entry->saved_at;
    if (saved_at >= SAVED_PUT_BACK || thread->moving ||
        !(moves = moves_of(&slots_moves_out, (uint32_t)entry->epoch)) || !guard_allows_short_ways())
        return false;
    begin(thread, arch_sp_framed(), saved_at, NULL, NULL);
    entry->saved_at = SAVED_PUT_BACK;
    moves_put_back_out(moves, context, saved_end(thread, saved_at));
    thread->moving = 0;
    errno = saved_errno;
    entry = &thread->entries[depth - 1]; /* foreign code ran: it may have moved */
    if (unlikely(thread->depth != depth)) {
        entry->saved_at =
            saved_at; /* a setter has left an attach behind: once more, without that */
        return false;
    }
    thread->depth--;
    thread->saved_used = saved_at;
    thread->attached = entry->attached;
    thread->frame_mark = entry->frame_mark;
    if (frame_mark & FRAME_OWNED)
        context_release_on(thread, context);
    return true;
}
