/*
 * Attaching and detaching in all cases: nested attaches, copied slots, tasks that set a key, frames that
 * longjmp has jumped over, attaches that last longer than a call. Those that keep what a callback set: scope_keep.c.
 *
 * A *scope entry* is what to put back when an attach is left. They are kept off the stack, because
 * longjmp can leave the frame of an attach without telling anybody; the stack address of the frame
 * (thread.frame_mark) is how a left one is recognised. An attach made by the fast path on a thread that
 * had none has no scope entry: what to put back is known (nothing).
 *
 * Rules: only the owning thread touches its scope entries; foreign code (setters, destructors) is called
 * with the entries consistent, because it may hand work over itself.
 */
#include <string.h>

#include "context/fast.h"
#include "base/mem.h"
#include "context/scope.h"
#include "context/dangling.h"
#include "context/observer.h"
#include "context/internal.h"
#include "context/stack.h"
#include "context/strict.h"
#include "context/coroutine_list.h"
#include "context/thread.h"
#include "context/unwind.h"
#include "context/values.h"
#include "context/variables.h"
#include "slots/moves.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/keys.h"
#include "slots/slots.h"
#include "slots/words.h"

enum { ENTRIES_FIRST = 16, DESTRUCTOR_ROUNDS = 4 /* PTHREAD_DESTRUCTOR_ITERATIONS */ };

static bool grow(void **block, size_t *have, size_t want)
{
    size_t size = *have ? *have * 2 : 1024;
    void *larger;

    while (size < want)
        size *= 2;
    larger = mem_alloc(size);
    if (!larger)
        return false;
    if (*have)
        memcpy(larger, *block, *have);
    mem_free(*block, *have);
    *block = larger;
    *have = size;
    return true;
}

static struct scope_entry *entry_push(struct thread *thread)
{
    struct scope_entry *entry;

    if (thread->depth == thread->entries_max) {
        void *entries = thread->entries;
        size_t size = thread->entries_max * sizeof *entry;

        if (!coroutine_list_may_grow(thread) ||
            !grow(&entries, &size, (thread->depth + ENTRIES_FIRST) * sizeof *entry))
            return NULL;
        thread->entries = entries;
        thread->entries_max = (uint32_t)(size / sizeof *entry);
        coroutine_list_grown(thread);
    }
    entry = &thread->entries[thread->depth];
    entry->saved_at = SIZE_MAX;
    entry->epoch = 0;
    if (slots_have_copied) {
        void *saved = thread->saved;

        /* With room for what getters and setters attach: while they run it does not move. */
        if (thread->saved_used + SAVED_ENTRIES * slots_saved_bytes > thread->saved_max &&
            (thread->moving || !grow(&saved, &thread->saved_max,
                                     thread->saved_used + SAVED_ENTRIES * slots_saved_bytes)) &&
            thread->saved_used + slots_saved_bytes > thread->saved_max)
            return NULL;
        thread->saved = saved;
        coroutine_list_grown(thread);
        entry->saved_at = thread->saved_used;
    }
    return entry;
}

/* Where the first scope entry's values lie are still those of the thread's last attach, or in front of its block. */
static __attribute__((noinline)) void save_strictly(struct thread *thread, struct context *owned,
                                                    struct context *own, uint32_t epoch)
{
    char before[STRICT_BYTES];
    size_t at = thread->saved_used, size = slots_bytes <= sizeof before ? slots_bytes : 0;

    memcpy(before, scope_has_front ? (char *)thread_front(thread) : thread->saved + at, size);
    scope_save(thread, owned, own, epoch);
    if (scope_has_front)
        memcpy(thread_front(thread), thread->saved + at, slots_bytes);
    if (size)
        strict_attached(thread, before, thread->saved + at);
}

/* An attach from above was not made by its task. What is adopted has no frame. */
static void drop_moving(struct thread *thread, uintptr_t frame_mark)
{
    uintptr_t sp = (frame_mark & FRAME_ADOPTED) == FRAME_ADOPTED
                       ? arch_sp()
                       : frame_mark & ~(uintptr_t)FRAME_FLAGS;

    if (sp > thread->moving) {
        scope_leave_above(thread, thread->moving_from + slots_saved_bytes);
        scope_abandon(thread);
    }
}

void scope_jumps_out(struct thread *thread, uintptr_t from, uintptr_t to)
{
    if (thread->building > from && to > thread->building)
        context_abandon(thread);
    if (thread->moving > from && to > thread->moving) {
        scope_leave_above(thread, thread->moving_from + slots_saved_bytes);
        scope_abandon(thread);
    }
}

/* A setter may leave from here: what is to be attached is let go then. */
static __attribute__((noinline)) void drop_stale_for(struct thread *thread, uintptr_t frame_mark,
                                                     struct context *context)
{
    bool is_known = slots_have_copied && !thread->moving && frame_mark & FRAME_OWNED;

    if (is_known)
        thread->waiting = context;
    scope_drop_stale(thread, frame_mark & ~(uintptr_t)FRAME_FLAGS);
    if (is_known)
        thread->waiting = NULL;
}

personality_routine baton_lend_personality;

/*
 * The attach is there, and the frame that made it may be no more: a trampoline's last call, which leaves, takes its
 * place. Of a thread's own, or a repeating callback, that frame is there, and knows more of what to do.
 */
static void leave_thrown(struct thread *thread, int actions)
{
    if (thread_is_attached(thread) && !(thread->frame_mark & FRAME_THREAD) &&
        (thread->frame_mark & FRAME_ADOPTED) != FRAME_KEEP) {
        thread->ending = actions & UNWIND_FORCED ? ENDED_CANCELLED : ENDED_EXCEPTION;
        scope_pop(thread);
        thread->ending = ENDED_RETURN;
    }
}

/* Of frames that run the program's functions while what they attach or leave is attached, innermost. */
__attribute__((used, visibility("hidden"))) int
baton_lend_personality(int version, int actions, uint64_t exception_class,
                       struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding)
{
    if (actions & UNWIND_CLEANUP_PHASE)
        leave_thrown(thread_self, actions);
    return UNWIND_CONTINUE;
}

ARCH_PERSONALITY(baton_lend_personality);

personality_routine baton_put_back_personality;

/* Of frames that have values put back: what a setter has left so (moving.c) is put back no more, and goes. */
__attribute__((used, visibility("hidden"))) int
baton_put_back_personality(int version, int actions, uint64_t exception_class,
                           struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding)
{
    struct thread *thread = thread_self;

    if (actions & UNWIND_CLEANUP_PHASE && !thread->moving && scope_was_put_back(thread))
        leave_thrown(thread, actions);
    return UNWIND_CONTINUE;
}

ARCH_PERSONALITY(baton_put_back_personality);

static GUARDED void lend_keys(struct thread *thread, struct context *own)
{
    GUARDED_FRAME_BY(baton_lend_personality);
    uintptr_t frame_mark = thread->frame_mark & ~(uintptr_t)FRAME_FLAGS;

    overlay_lend(own);
    if (thread->attached != own) /* what those functions have attached, and left */
        scope_leave_slow(thread, frame_mark - 1);
}

bool scope_enter_slow(struct context *context, uintptr_t frame_mark)
{
    struct thread *thread = frame_mark & FRAME_THREAD ? thread_begin() : thread_enter();
    uintptr_t guard = atomic_load_explicit(&context_guard, memory_order_acquire);
    struct context *attached = context;
    struct scope_entry *entry;
    size_t saved_at;
    uint32_t epoch;

    if (!thread || guard & (GUARD_TEARDOWN | GUARD_OFF))
        return false;
    if (unlikely(thread->moving))
        drop_moving(thread, frame_mark);
    if (thread->attached && (thread->frame_mark | FRAME_FLAGS) < frame_mark)
        drop_stale_for(thread, frame_mark, context);
    if (guard & GUARD_STALE)
        context_look_again();
    epoch = atomic_load_explicit(&slots_epoch, memory_order_acquire);
    if ((guard & GUARD_EPOCH && context->epoch < epoch) ||
        (slots_have_owned_keys && !(context->flags & CONTEXT_EMPTY))) {
        attached = overlay_new(context);
        if (!attached)
            return false;
    }
    entry = entry_push(thread);
    if (!entry) {
        if (attached != context)
            overlay_free(attached);
        return false;
    }
    entry->epoch = epoch;
    if (entry->saved_at != SIZE_MAX) {
        size_t at = thread->saved_used;
        struct context *owned = frame_mark & FRAME_OWNED ? context : NULL;
        struct context *own = attached == context ? NULL : attached;

        if (unlikely(dangling_on) && !thread->attached)
            save_strictly(thread, owned, own, epoch);
        else if (!slots_are_words || slots_watched)
            scope_save(thread, owned, own, epoch);
        if (unlikely(thread->saved_used > at + slots_saved_bytes)) {
            scope_leave_above(thread, at + slots_saved_bytes);
            thread->saved_used = at;
            scope_save(thread, owned, own, epoch); /* once more: that was read under what is left */
            scope_leave_above(thread, at + slots_saved_bytes);
        }
        thread->saved_used = at + slots_saved_bytes;
        entry = &thread->entries[thread->depth]; /* it may have moved: foreign code ran */
        entry->saved_at = at;
        entry->epoch = epoch;
    }
    entry->attached = thread->attached;
    entry->frame_mark = thread->frame_mark;
    thread->depth++;
    thread->attached = attached;
    thread->frame_mark = frame_mark | FRAME_SLOW;
    saved_at = entry->saved_at;
    if (slots_are_words && !slots_watched)
        words_exchange(context_copied(context), thread->saved + saved_at);
    if (attached != context && slots_have_owned_keys)
        lend_keys(thread, attached);
    if (slots_have_copied && (!slots_are_words || slots_watched)) {
        if (origins_on)
            slots_set_aside(thread, thread->saved + saved_at, epoch);
        scope_write(thread, context, saved_at, epoch);
    }
    if (dangling_on)
        dangling_look();
    if (unlikely(context->flags & (CONTEXT_WATCHED | CONTEXT_TAGGED)))
        observer->start(thread, context);
    return true;
}

/* The first key index from there on whose key has a destructor; slots_key_count or more: none. */
static unsigned next_destroyed(unsigned key_index)
{
    while (key_index < slots_key_count) {
        uint64_t rest =
            atomic_load_explicit(&keys_destroyed[key_index / 64], memory_order_relaxed) >>
            key_index % 64;

        if (rest)
            return key_index + (unsigned)__builtin_ctzll(rest);
        key_index = (key_index / 64 + 1) * 64;
    }
    return key_index;
}

/*
 * Rule 18: what the task set and left is destroyed now, by the program's own destructor, unless
 * something captured it (then by the last to let go). In rounds, because a destructor may set
 * another value, as glibc has it at thread exit.
 */
static GUARDED void destroy_set_values(struct thread *thread)
{
    GUARDED_FRAME_BY(baton_lend_personality);
    struct context *own = thread->attached;
    bool again = true;

    for (unsigned round = 0; again && round < DESTRUCTOR_ROUNDS; round++) {
        again = false;
        for (unsigned key_index = next_destroyed(0); key_index < slots_key_count;
             key_index = next_destroyed(key_index + 1)) {
            const struct key_binding *binding = &key_bindings[key_index];
            void (*destructor)(void *) = binding->destructor;
            void *value = own->key[key_index];

            if (!value)
                continue;
            /* Baton's (overlay_reclaim), or its owner's (rule 19): other keys' destructors see it as the task did. */
            if (value == (context_key_is_owned(key_index) ? context_borrowed(own)[key_index]
                                                          : own->base->key[key_index]))
                continue;
            own->key[key_index] = NULL;
            if (!binding->is_bound || binding->since > own->epoch || !destructor)
                continue;
            again = true;
            if (!values_defer(key_index, binding->since, value))
                destructor(value);
            if (thread->attached !=
                own) /* the destructor jumped or left: nothing of this is ours any more */
                return;
        }
    }
}

static GUARDED void reclaim_keys(struct context *own, bool is_thread)
{
    GUARDED_FRAME_BY(baton_lend_personality);

    overlay_reclaim(own, is_thread);
    __asm__ volatile(""); /* in a frame of its own: no jump */
}

/* What setters have left behind on top of the attach whose values they put back (they adopt). */
static void leave_deeper(struct thread *thread, uint32_t depth)
{
    while (thread->depth > depth)
        scope_pop(thread);
}

/* What was put back was read under what a setter has left behind: once more, without that. */
static __attribute__((noinline, cold)) void put_back_again(struct thread *thread, uint32_t depth,
                                                           size_t saved_at, const void *borrowed)
{
    leave_deeper(thread, depth);
    scope_put_back(thread, saved_at, borrowed, (uint32_t)thread->entries[depth - 1].epoch);
    leave_deeper(thread, depth);
}

/* The same of an attach that has no scope entry: what is left behind on top of nothing gets it as what is below. */
static __attribute__((noinline)) void put_back_front(struct thread *thread, struct context *context,
                                                     struct context *own)
{
    uintptr_t frame_mark = thread->frame_mark;

    for (bool once_more = true;; once_more = false) {
        scope_put_back_front(thread, context, own);
        if (likely(!thread->depth))
            return;
        thread->entries[0].attached = own ? own : context;
        thread->entries[0].frame_mark = frame_mark;
        leave_deeper(thread, 0);
        if (!once_more)
            return;
    }
}

GUARDED void scope_pop(struct thread *thread)
{
    GUARDED_FRAME_BY(baton_put_back_personality);
    struct context *attached = thread->attached;
    uintptr_t frame_mark = thread->frame_mark;
    struct context *own = attached->flags & CONTEXT_OVERLAY ? attached : NULL;
    struct context *context = own ? own->base : attached;

    if (unlikely(context->flags & (CONTEXT_WATCHED | CONTEXT_TAGGED)))
        observer->end(thread, context, (enum observed_end)thread->ending);
    if (own && thread->runs)
        vars_leave_holder(thread, own);
    if (own && !(frame_mark & FRAME_THREAD)) {
        destroy_set_values(thread);
        if (thread->attached != attached)
            return;
    }
    if (own && slots_have_owned_keys) {
        reclaim_keys(own, (frame_mark & FRAME_THREAD) != 0);
        if (!(frame_mark & FRAME_THREAD))
            destroy_set_values(thread); /* what those functions have set */
        if (thread->attached != attached)
            return;
    }
    if (thread->depth) {
        struct scope_entry *entry = &thread->entries[thread->depth - 1];

        if (entry->saved_at < SAVED_PUT_BACK) {
            const void *borrowed = frame_mark & FRAME_THREAD ? context_copied(context) : NULL;
            size_t saved_at = entry->saved_at;
            uint32_t depth = thread->depth;

            entry->saved_at = SAVED_PUT_BACK;
            scope_put_back(thread, saved_at, borrowed, (uint32_t)entry->epoch);
            if (unlikely(thread->depth != depth))
                put_back_again(thread, depth, saved_at, borrowed);
            if (origins_on)
                origin_back(thread);
            thread->saved_used = saved_at;
            entry = &thread->entries[thread->depth - 1]; /* it may have moved: foreign code ran */
        }
        thread->attached = entry->attached;
        thread->frame_mark = entry->frame_mark;
        thread->depth--;
    } else {
        if (scope_has_front && slots_moves_out)
            put_back_front(thread, context, own);
        else if (
            scope_has_front) /* of the context's epoch, or no attach in front would have been made */
            slots_restore(thread_front(thread),
                          frame_mark & FRAME_THREAD ? context_copied(context) : NULL,
                          context->epoch);
        if (origins_on)
            origin_back(thread);
        thread->attached = NULL;
        thread->frame_mark = 0;
    }
    if (own)
        overlay_free(own);
    if (frame_mark & FRAME_THREAD) /* as a run it was counted when it began (START_RUN) */
        context_release(context);
    else if (frame_mark & FRAME_OWNED)
        context_release_on(thread_self, context);
}

void scope_leave_slow(struct thread *thread, uintptr_t sp)
{
    while (thread_is_attached(thread) && (thread->frame_mark & ~(uintptr_t)FRAME_FLAGS) <= sp &&
           !scope_is_put_back(thread))
        scope_pop(thread);
}

uint32_t scope_top_entry(const struct thread *thread)
{
    return thread->depth;
}

bool scope_leave_entry(struct thread *thread, uint32_t depth, uintptr_t frame_mark)
{
    uintptr_t found;

    if (!thread_is_attached(thread) || thread->depth < depth)
        return false;
    found = thread->depth == depth ? thread->frame_mark : thread->entries[depth].frame_mark;
    if ((found & ~(uintptr_t)FRAME_FLAGS) != frame_mark)
        return false;
    while (thread_is_attached(thread) && thread->depth >= depth && !scope_is_put_back(thread))
        scope_pop(thread);
    return true;
}

void scope_leave_above(struct thread *thread, size_t saved_used)
{
    while (thread_is_attached(thread) && thread->depth && thread->saved_used > saved_used &&
           !scope_is_put_back(thread))
        scope_pop(thread);
}

bool scope_leave_unwound(struct thread *thread, uintptr_t sp)
{
    bool ends = false;

    vars_leave(thread, sp);
    while (thread_is_attached(thread) && (thread->frame_mark & ~(uintptr_t)FRAME_FLAGS) <= sp &&
           !scope_is_put_back(thread)) {
        ends = (thread->frame_mark & FRAME_THREAD) != 0;
        scope_pop(thread);
    }
    return ends;
}

void scope_drop_stale(struct thread *thread, uintptr_t sp)
{
    while (thread_is_attached(thread) && (thread->frame_mark & ~(uintptr_t)FRAME_FLAGS) < sp &&
           stack_is_same(thread->frame_mark & ~(uintptr_t)FRAME_FLAGS, sp) &&
           !scope_is_put_back(thread)) {
        thread->ending = ENDED_JUMPED;
        scope_pop(thread);
        thread->ending = ENDED_RETURN;
    }
}

/*
 * The mark lies between the scope around it and everything that is called from there, so it is left
 * with that scope. A scope of the fast path has no scope entry and knows itself by its context alone: the
 * same context on top of it would be taken for it.
 */
bool scope_adopt(struct context *context)
{
    struct thread *thread = thread_enter();
    uintptr_t frame_mark = SCOPE_FRAME_ADOPTED;

    if (!thread)
        return false;
    if (thread->attached)
        scope_drop_stale(thread, arch_sp());
    if (thread->attached) {
        if (thread->attached == context && thread->depth == 0 && !slots_have_copied) {
            context_release(context);
            return true;
        }
        frame_mark = scope_frame_above(thread);
    }
    return scope_enter_slow(context, frame_mark);
}

void scope_leave_adopted(struct thread *thread)
{
    if (thread->attached)
        scope_drop_stale(thread, arch_sp());
    if (thread->attached && !scope_is_put_back(thread) &&
        (thread->frame_mark & FRAME_FLAGS & ~(uintptr_t)FRAME_SLOW) == FRAME_ADOPTED)
        scope_pop(thread);
}
