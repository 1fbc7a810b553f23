/*
 * Attaching and detaching for SCOPE_RUN where its few instructions in line do not hold: first the short ways,
 * each for one thing that may be in the way (a table of moves, plain words, an attach below,
 * an observer), then scope.c, which does for everything.
 *
 * Rules: a short way that cannot be taken has changed nothing; what it makes is left by the short way of its
 * kind, or by scope.c.
 */
#include "context/dangling.h"
#include "context/fast.h"
#include "context/front.h"
#include "context/front_out.h"
#include "base/log.h"
#include "context/internal.h"
#include "context/lending.h"
#include "context/observer.h"
#include "context/scope.h"
#include "context/strict_front.h"
#include "context/thread.h"
#include "context/trace.h"
#include "context/unwind.h"
#include "slots/moves.h"
#include "slots/origin.h"
#include "slots/slots.h"
#include "slots/words.h"

/*
 * scope_enter_slow by the table, where there is room for what is replaced: it makes a scope entry like any
 * other. False: nothing has changed.
 */
static inline bool enter_moving(struct thread *thread, struct context *context,
                                uintptr_t frame_mark)
{
    uint32_t epoch = context->epoch;
    const struct slot_moves *moves = moves_at(epoch);
    size_t at = thread->saved_used;
    struct scope_entry *entry;

    if (unlikely(!moves || epoch != atomic_load_explicit(&slots_epoch, memory_order_acquire) ||
                 !guard_allows_short_ways() || frame_mark & FRAME_THREAD ||
                 thread->depth >= thread->entries_max ||
                 at + slots_saved_bytes > thread->saved_max ||
                 (thread->attached && thread->frame_mark <= frame_mark)))
        return false;
    thread->saved_used = at + slots_saved_bytes;
    moves_save(moves, thread->saved + at);
    entry = &thread->entries[thread->depth++];
    entry->attached = thread->attached;
    entry->frame_mark = thread->frame_mark;
    entry->saved_at = at;
    entry->epoch = epoch;
    thread->attached = context;
    thread->frame_mark = frame_mark | FRAME_SLOW;
    moves_write(moves, context_copied(context), thread->saved + at);
    return true;
}

/* Leaves the attach at `sp` if it is the innermost, nothing was set in it, and the table does for it. */
static inline bool leave_moving(struct thread *thread, uintptr_t sp)
{
    uintptr_t frame_mark = thread->frame_mark;
    struct context *context = thread->attached;
    const struct slot_moves *moves;
    const struct scope_entry *entry;

    if (!thread->depth || (frame_mark & ~(uintptr_t)FRAME_OWNED) != (sp | FRAME_SLOW) ||
        !thread_is_attached(thread) ||
        context->flags & (CONTEXT_OVERLAY | CONTEXT_WATCHED | CONTEXT_TAGGED))
        return false;
    entry = &thread->entries[thread->depth - 1];
    if (entry->saved_at >= SAVED_PUT_BACK || !(moves = moves_at(entry->epoch)) ||
        !guard_allows_short_ways())
        return false;
    moves_restore(moves, thread->saved + entry->saved_at);
    entry = &thread->entries[--thread->depth]; /* foreign code ran: it may have moved */
    thread->saved_used = entry->saved_at;
    thread->attached = entry->attached;
    thread->frame_mark = entry->frame_mark;
    if (frame_mark & FRAME_OWNED)
        context_release_on(thread, context);
    return true;
}

_Atomic uint32_t scope_frames_lost;
static atomic_bool has_failed; /* to attach: such frames have nothing to leave */

static APART struct thread *enter_any(struct context *context, uintptr_t frame_mark)
{
    struct thread *thread = thread_self;

    if (thread_is_words_only(thread)) {
        words_attach(0, context, thread);
        thread->is_read = false;
        thread->frame_mark = frame_mark | FRAME_SLOW; /* SCOPE_LEAVE knows nothing of words */
        SCOPE_ATTACH(thread, context);
        return thread;
    }
    if (scope_may_nest(thread, frame_mark)) {
        scope_nest(thread, context, frame_mark);
        return thread;
    }
    if ((slots_moves_out && scope_move_in(thread, context, frame_mark)) ||
        scope_enter_slow(context, frame_mark))
        return thread_self;
    atomic_store_explicit(&has_failed, true, memory_order_relaxed);
    if (frame_mark & FRAME_OWNED)
        context_release(context);
    thread = thread_self;
    if (!thread_is_attached(thread) && thread != &thread_unknown)
        thread->frame_mark = 0; /* an earlier attach at this very depth may have left its mark */
    return thread;
}

/* A way each, so that none keeps registers for another's sake. */
static APART struct thread *enter_by_entry(struct context *context, uintptr_t frame_mark)
{
    struct thread *thread = thread_self;

    return enter_moving(thread, context, frame_mark) ? thread : enter_any(context, frame_mark);
}

static APART struct thread *enter_by_table(struct thread *thread, struct context *context,
                                           uintptr_t frame_mark, const struct slot_moves *moves)
{
    moves_save(moves, thread_front(thread));
    front_attach(thread, context, frame_mark);
    moves_write(moves, context_copied(context), thread_front(thread));
    return thread;
}

static APART struct thread *enter_by_moves(struct context *context, uintptr_t frame_mark)
{
    const struct slot_moves *moves = atomic_load_explicit(&slots_moves, memory_order_acquire);
    struct thread *thread = thread_self;

    if (unlikely(!front_may_enter(thread, context, frame_mark, moves)))
        return enter_by_entry(context, frame_mark);
    if (unlikely(!moves->is_one_word))
        return enter_by_table(thread, context, frame_mark, moves);
    moves_save_word(moves, thread);
    front_attach(thread, context, frame_mark);
    moves_write_word(moves, context, thread);
    return thread;
}

/* The lean way where there is one word. False: nothing has changed. */
static inline __attribute__((always_inline)) bool enter_word(enum slot_word_form form,
                                                             struct thread *thread,
                                                             struct context *context,
                                                             uintptr_t frame_mark)
{
    if (unlikely(!thread_is_word_only(thread) || !scope_may_enter_word(form, context) ||
                 frame_mark & FRAME_THREAD))
        return false;
    thread->is_read = false;
    SCOPE_ENTER_WORD(form, thread, context,
                     thread->frame_mark = frame_mark |
                                          FRAME_SLOW /* SCOPE_LEAVE knows nothing of it */);
    return true;
}

/* One quick way each, compiled for it; what it does not know of goes the other. */
#define ENTER_BY(name, is_entered, otherwise)                                       \
    static APART struct thread *name(struct context *context, uintptr_t frame_mark) \
    {                                                                               \
        struct thread *thread = thread_self;                                        \
                                                                                    \
        return likely(is_entered) ? thread : otherwise(context, frame_mark);        \
    }

ENTER_BY(enter_by_word, enter_word(WORD_ONE, thread, context, frame_mark), enter_by_moves)
ENTER_BY(enter_by_wide, enter_word(WORD_WIDE, thread, context, frame_mark), enter_by_moves)
ENTER_BY(enter_by_none, enter_word(WORD_NONE, thread, context, frame_mark), enter_any)
ENTER_BY(enter_by_lending, lending_enter(POLICIES_MIXED, thread, context, frame_mark), enter_any)
ENTER_BY(enter_by_copy, lending_enter(POLICIES_COPIES, thread, context, frame_mark), enter_any)
ENTER_BY(enter_by_reference, lending_enter(POLICIES_REFS, thread, context, frame_mark), enter_any)

static APART struct thread *enter_strictly(struct context *context, uintptr_t frame_mark)
{
    struct thread *thread = thread_self;

    return likely(strict_front_enter(thread, context, frame_mark)) ? thread
                                                                   : enter_any(context, frame_mark);
}

static GUARDED struct thread *enter_by_calling_out(struct context *context, uintptr_t frame_mark)
{
    GUARDED_FRAME_BY(baton_move_personality);
    struct thread *thread = thread_self;

    thread->is_read = false;
    return likely(front_out_enter(thread, &context, frame_mark | FRAME_SLOW,
                                  (unsigned)frame_mark & FRAME_FLAGS))
               ? thread
               : enter_any(context, frame_mark);
}

APART void front_out_again(struct thread *thread)
{
    scope_leave_above(thread, thread->moving_from);
    slots_pair.call.set(*slot_word_at(thread));
    scope_leave_above(thread, thread->moving_from);
}

struct thread *front_out_enter_any(struct context *context, uintptr_t frame_mark)
{
    struct thread *thread = thread_self;

    /* What the getter has left attached; or one that was jumped out of, and stood where the caller's frame is now. */
    if (thread->moving && thread->moving <= (frame_mark & ~(uintptr_t)FRAME_FLAGS)) {
        scope_leave_above(thread, thread->moving_from + slots_saved_bytes);
        scope_abandon(thread);
    }
    return scope_enter_any(context, frame_mark);
}

static APART struct thread *enter_watched(struct context *context, uintptr_t frame_mark)
{
    struct thread *thread = thread_self;
    uint64_t *record;

    if (unlikely(!guard_is_for_observer() || thread->attached ||
                 !(context->flags & CONTEXT_WATCHED) || frame_mark & FRAME_THREAD))
        return enter_any(context, frame_mark);
    thread->frame_mark = frame_mark | FRAME_SLOW; /* SCOPE_LEAVE knows nothing of the watcher */
    SCOPE_ATTACH(thread, context);
    if (likely(trace_is_for(thread, context)) && trace_reserve(thread, &record))
        trace_start(thread, context, record);
    else
        observer->start(thread, context);
    return thread;
}

static bool has_frame(const struct thread *thread, uintptr_t sp)
{
    bool is_there = thread_is_attached(thread) &&
                    (thread->frame_mark & ~(uintptr_t)FRAME_FLAGS) == sp;

    for (uint32_t i = 0; i < thread->depth && !is_there; i++)
        is_there = (thread->entries[i].frame_mark & ~(uintptr_t)FRAME_FLAGS) == sp;
    return is_there;
}

/*
 * A frame that comes to its end by returning, and whose attach was left already: its stack was left and entered
 * again by code that nobody told us of, so what was attached meanwhile was taken for what this frame had called.
 */
static void look_for_frame(const struct thread *thread, uintptr_t sp)
{
    if (has_frame(thread, sp) || atomic_load_explicit(&has_failed, memory_order_relaxed))
        return;
    if (atomic_fetch_add_explicit(&scope_frames_lost, 1, memory_order_relaxed) == 0)
        log_msg(
            LOG_LEVEL_WARN,
            "a task returned on another stack than the one that ran in between: the program "
            "switches stacks by code of its own, which is not seen, and contexts do not follow");
}

/* The attach at `sp`, if it is the only one: its task has set keys, none of which has a destructor. */
static inline bool leave_overlay(struct thread *thread, uintptr_t sp)
{
    uintptr_t frame_mark = thread->frame_mark;
    struct context *own = thread->attached, *context;

    if (slots_have_copied || slots_have_owned_keys || thread->depth || thread->runs ||
        (frame_mark & ~(uintptr_t)FRAME_OWNED) != (sp | FRAME_SLOW) ||
        !thread_is_attached(thread) || !(own->flags & CONTEXT_OVERLAY) ||
        own->base->flags & (CONTEXT_WATCHED | CONTEXT_TAGGED) || scope_may_destroy())
        return false;
    context = own->base;
    thread->attached = NULL;
    thread->frame_mark = 0;
    overlay_free(own);
    if (frame_mark & FRAME_OWNED)
        context_release_on(thread_self, context);
    return true;
}

static APART void leave_here(uintptr_t sp)
{
    GUARDED_FRAME_BY(baton_put_back_personality);
    struct thread *thread = thread_self;
    uintptr_t frame_mark = thread->frame_mark;
    struct context *context;

    if (leave_overlay(thread, sp))
        return;
    if (!slots_have_copied && !thread->depth &&
        (frame_mark & ~(uintptr_t)FRAME_OWNED) == (sp | FRAME_SLOW) && thread_is_attached(thread) &&
        !(thread->attached->flags & (CONTEXT_OVERLAY | CONTEXT_WATCHED | CONTEXT_TAGGED))) {
        context = thread->attached;
        thread->attached = NULL;
        if (frame_mark & FRAME_OWNED)
            context_release_on(thread, context);
        return;
    }
    /* What scope_enter_any made without a scope entry, if that is all there is. */
    if (scope_is_words_only && !thread->depth &&
        (frame_mark & ~(uintptr_t)FRAME_OWNED) == (sp | FRAME_SLOW) && thread_is_attached(thread) &&
        !(thread->attached->flags & CONTEXT_OVERLAY)) {
        context = thread->attached;
        words_detach(0, thread);
        thread->attached = NULL;
        if (frame_mark & FRAME_OWNED)
            context_release_on(thread, context);
        return;
    }
    /* Or on top of another attach. */
    if ((frame_mark & ~(uintptr_t)FRAME_OWNED) == (sp | FRAME_SLOW) && scope_is_nested(thread)) {
        context = thread->attached;
        scope_unnest(thread);
        if (frame_mark & FRAME_OWNED)
            context_release_on(thread, context);
        return;
    }
    if (slots_moves_out && scope_move_out(thread, sp))
        return;
    if (likely((frame_mark & ~(uintptr_t)FRAME_OWNED) == (sp | FRAME_SLOW) &&
               thread_is_attached(thread)))
        scope_pop(thread);
    else
        look_for_frame(thread, sp);
    scope_leave_slow(thread, sp);
}

static APART void leave_by_entry(uintptr_t sp)
{
    if (!leave_moving(thread_self, sp))
        leave_here(sp);
}

static APART void leave_by_table(struct thread *thread, const struct slot_moves *moves)
{
    moves_put_back(moves, context_copied(thread->attached), thread_front(thread));
    front_detach(thread);
}

static APART void leave_by_moves(uintptr_t sp)
{
    const struct slot_moves *moves = atomic_load_explicit(&slots_moves, memory_order_acquire);
    struct thread *thread = thread_self;

    if (unlikely(!front_is_at(thread, sp) || !front_is_right(moves, thread->attached->epoch))) {
        leave_by_entry(sp);
    } else if (unlikely(!moves->is_one_word)) {
        leave_by_table(thread, moves);
    } else {
        moves_put_back_word(moves, thread->attached, thread);
        front_detach(thread);
    }
}

/* False: it is not for this to leave. */
static inline __attribute__((always_inline)) bool leave_word(enum slot_word_form form,
                                                             struct thread *thread, uintptr_t sp)
{
    if (unlikely(!front_is_at(thread, sp) || !slot_word_is_right(thread->attached->epoch)))
        return false;
    scope_put_back_word(form, thread);
    front_detach(thread);
    return true;
}

static APART void leave_by_word(uintptr_t sp)
{
    if (unlikely(!leave_word(WORD_ONE, thread_self, sp)))
        leave_by_moves(sp);
}

static APART void leave_by_wide(uintptr_t sp)
{
    if (unlikely(!leave_word(WORD_WIDE, thread_self, sp)))
        leave_by_moves(sp);
}

/* An attach without a scope entry is of a context that has none of it. */
static APART void leave_by_none(uintptr_t sp)
{
    if (unlikely(!leave_word(WORD_NONE, thread_self, sp)))
        leave_here(sp);
}

static APART void leave_by_lending(uintptr_t sp)
{
    GUARDED_FRAME_BY(baton_lend_personality);

    if (unlikely(!lending_leave(POLICIES_MIXED, thread_self, sp)))
        leave_here(sp);
}

/* A leak checker that came later wants them back. */
static APART void leave_by_copy(uintptr_t sp)
{
    if (unlikely(slots_always_build))
        leave_by_lending(sp);
    else if (unlikely(!lending_leave(POLICIES_COPIES, thread_self, sp)))
        leave_here(sp);
}

static APART void leave_by_reference(uintptr_t sp)
{
    GUARDED_FRAME_BY(baton_lend_personality);

    if (unlikely(!lending_leave(POLICIES_REFS, thread_self, sp)))
        leave_here(sp);
}

static APART void leave_strictly(uintptr_t sp)
{
    if (unlikely(!strict_front_leave(thread_self, sp)))
        leave_here(sp);
}

static GUARDED void leave_by_calling_out(uintptr_t sp)
{
    GUARDED_FRAME_BY(baton_move_personality);

    struct thread *thread = thread_self;

    if (unlikely(!front_out_may_leave(thread, sp)))
        leave_here(sp);
    else if (thread->frame_mark & FRAME_OWNED)
        front_out_leave(thread, true);
    else
        front_out_leave(thread, false);
}

static APART void leave_watched(uintptr_t sp)
{
    struct thread *thread = thread_self;
    uintptr_t frame_mark = thread->frame_mark;
    struct context *context = thread->attached;

    if (unlikely((frame_mark & ~(uintptr_t)FRAME_OWNED) != (sp | FRAME_SLOW) || thread->depth ||
                 !thread_is_attached(thread) ||
                 (context->flags & (CONTEXT_WATCHED | CONTEXT_OVERLAY)) != CONTEXT_WATCHED)) {
        leave_here(sp);
        return;
    }
    thread->attached = NULL;
    if (trace_is_for(thread, context) && trace_is_open(thread, context)) {
        trace_end(thread);
        if (frame_mark & FRAME_OWNED)
            observer->finished(thread, context);
    } else if (frame_mark & FRAME_OWNED) {
        observer->finish(thread, context);
    } else {
        observer->end(thread, context, ENDED_RETURN);
    }
}

static struct thread *(*enter_way)(struct context *context, uintptr_t frame_mark) = enter_any;
static void (*leave_way)(uintptr_t sp) = leave_here;

struct thread *scope_enter_any(struct context *context, uintptr_t frame_mark)
{
    return enter_way(context, frame_mark);
}

void scope_leave_here(uintptr_t sp)
{
    leave_way(sp);
}

void scope_choose(void)
{
    if (slots_word.is_expected) {
        enter_way = slots_word.form == WORD_ONE    ? enter_by_word
                    : slots_word.form == WORD_WIDE ? enter_by_wide
                                                   : enter_by_none;
        leave_way = slots_word.form == WORD_ONE    ? leave_by_word
                    : slots_word.form == WORD_WIDE ? leave_by_wide
                                                   : leave_by_none;
    } else if (atomic_load(&slots_moves)) {
        enter_way = enter_by_moves;
        leave_way = leave_by_moves;
    } else if (!observer && slots_moves_out) {
        enter_way = enter_by_calling_out;
        leave_way = leave_by_calling_out;
    } else if (observer) {
        enter_way = enter_watched;
        leave_way = leave_watched;
    } else if (scope_is_words_only && dangling_on) {
        enter_way = enter_strictly;
        leave_way = leave_strictly;
    } else if (slots_have_owned_keys && !slots_have_copied && !origins_on && !dangling_on) {
        enum policies_mix mix = policies_mix();

        enter_way = mix == POLICIES_REFS     ? enter_by_reference
                    : mix == POLICIES_COPIES ? enter_by_copy
                                             : enter_by_lending;
        leave_way = mix == POLICIES_REFS     ? leave_by_reference
                    : mix == POLICIES_COPIES ? leave_by_copy
                                             : leave_by_lending;
    }
    context_attaches_by_ways = enter_way != enter_any || slots_have_copied;
}
