/*
 * Attaching and detaching where the fast path does not hold: nested attaches, copied slots, tasks
 * that set a key, frames that longjmp has jumped over.
 *
 * A *level* is what to put back when an attach is left. The levels are kept off the stack, because
 * longjmp can leave the frame of an attach without telling anybody; the stack address of the frame
 * (thread.mark) is how a left one is recognised. An attach made by the fast path on a thread that
 * had none has no level: what to put back is known (nothing).
 *
 * Rules: only the owning thread touches its levels; foreign code (setters, destructors) is called
 * with the levels consistent, because it may hand work over itself.
 */
#include <string.h>

#include "base/mem.h"
#include "context/scope.h"
#include "context/dangling.h"
#include "context/private.h"
#include "context/stack.h"
#include "context/strand.h"
#include "context/thread.h"
#include "context/values.h"
#include "context/vars.h"
#include "slots/origin.h"
#include "slots/policy.h"
#include "slots/slots.h"
#include "slots/words.h"

const size_t scope_level_size = sizeof(struct level);

enum { LEVELS_FIRST = 16, DESTRUCTOR_ROUNDS = 4 /* PTHREAD_DESTRUCTOR_ITERATIONS */ };

bool scope_is_wordy;

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

static struct level *level_push(struct thread *thread)
{
    struct level *level;

    if (thread->depth == thread->levels_max) {
        void *levels = thread->levels;
        size_t size = thread->levels_max * sizeof *level;

        if (!grow(&levels, &size, (thread->depth + LEVELS_FIRST) * sizeof *level))
            return NULL;
        thread->levels = levels;
        thread->levels_max = (uint32_t)(size / sizeof *level);
    }
    level = &thread->levels[thread->depth];
    level->saved_at = SIZE_MAX;
    if (slots_have_copied) {
        void *saved = thread->saved;

        if (thread->saved_used + slots_saved_bytes > thread->saved_max &&
            !grow(&saved, &thread->saved_max, thread->saved_used + slots_saved_bytes))
            return NULL;
        thread->saved = saved;
        level->saved_at = thread->saved_used;
    }
    return level;
}

/* A context of an earlier epoch, one to be written to, or one that lends values, gets a private stand-in. */
struct context *context_private_new(struct context *base)
{
    struct thread *thread = thread_self;
    struct context *own = thread->private_room;

    thread->private_room = NULL;
    if (!own && !(own = context_room(true)))
        return NULL;
    memset(context_private(own), 0, context_private_size());
    atomic_store_explicit(&own->refs, 0, memory_order_relaxed);
    context_copy_values(own, base);
    own->flags = CONTEXT_PRIVATE;
    vars_ref(own->vars);
    own->base = base;
    own->epoch = atomic_load_explicit(&slots_epoch, memory_order_acquire);
    for (unsigned column = 0; column < slots_columns; column++) {
        if (base->epoch < key_bindings[column].since)
            own->key[column] = NULL;
        if (context_column_is_held(column)) {
            own->key[column] = policy_lend(context_column_slot(column), own->key[column]);
            context_lent(own)[column] = own->key[column];
        }
    }
    return own;
}

void context_private_free(struct context *own)
{
    struct private_part *part = context_private(own);

    if (part->frozen)
        context_release(part->frozen);
    if (origins_on)
        origin_gone(own);
    vars_unref(own->vars);
    if (thread_self->loan_over == own)
        thread_self->loan_over = NULL; /* the next one may lie at its place */
    /* A thread whose tasks set keys needs one a task: it stays with the block, as its levels do. */
    if (thread_self->private_room || thread_self == &thread_unknown)
        context_give_back(own, true);
    else
        thread_self->private_room = own;
}

void context_thaw(struct context *own)
{
    struct private_part *part = context_private(own);
    struct context *frozen = part->frozen;

    if (!frozen)
        return;
    part->frozen = NULL;
    thread_self->loan_over = NULL; /* references to what is not seen any more */
    context_release(frozen);
}

/* Values that the slots still hold are baton's to end; what a task took over is not (rule 19). */
static void take_back_lent(struct context *own, bool is_thread)
{
    struct private_part *part = context_private(own);

    for (unsigned column = 0; column < slots_columns; column++) {
        uint64_t bit = (uint64_t)1 << column % 64;
        void *lent;

        if (!context_column_is_held(column) || !(lent = context_lent(own)[column]))
            continue;
        if (!(context_void(own)[column / 64] & bit)) {
            if (own->key[column] != lent)
                continue;
            if (is_thread && part->set[column / 64] & bit)
                continue; /* the thread set it natively as well: the C library ends it */
            own->key[column] = NULL;
        }
        context_lent(own)[column] = NULL;
        policy_take_back(context_column_slot(column), lent);
    }
}

bool scope_enter_slow(struct context *context, uintptr_t mark)
{
    struct thread *thread = mark & MARK_THREAD ? thread_begin() : thread_enter();
    uintptr_t guard = atomic_load_explicit(&context_guard, memory_order_acquire);
    struct context *attached = context;
    struct level *level;
    uint32_t epoch;

    if (!thread || guard & (GUARD_TEARDOWN | GUARD_OFF))
        return false;
    if (thread->over)
        scope_drop_stale(thread, mark & ~(uintptr_t)MARK_FLAGS);
    if (guard & GUARD_STALE)
        context_look_again();
    epoch = atomic_load_explicit(&slots_epoch, memory_order_acquire);
    if ((guard & GUARD_EPOCH && context->epoch < epoch) ||
        (slots_have_held_keys && !(context->flags & CONTEXT_EMPTY))) {
        attached = context_private_new(context);
        if (!attached)
            return false;
    }
    level = level_push(thread);
    if (!level) {
        if (attached != context) {
            take_back_lent(attached, false);
            context_private_free(attached);
        }
        return false;
    }
    level->epoch = epoch;
    if (level->saved_at != SIZE_MAX) {
        if (!slots_are_words)
            slots_save(thread->saved + level->saved_at, epoch);
        thread->saved_used += slots_saved_bytes;
    }
    level->over = thread->over;
    level->mark = thread->mark;
    thread->depth++;
    thread->over = attached;
    thread->mark = mark | MARK_SLOW;
    if (slots_are_words)
        words_exchange(context_copied(context), thread->saved + level->saved_at);
    else if (slots_have_copied) { /* the level may have moved: foreign code ran */
        void *saved = thread->saved + thread->levels[thread->depth - 1].saved_at;

        if (origins_on)
            slots_set_aside(thread, saved, epoch);
        slots_write(context_copied(context), context->epoch, saved, epoch,
                    thread->strands && thread->strands->current != &thread->strands->home);
    }
    if (dangling_on)
        dangling_look();
    return true;
}

struct thread *scope_enter_any(struct context *context, uintptr_t mark)
{
    struct thread *thread = thread_self;

    if (thread_is_wordy(thread)) {
        words_attach(0, context, thread);
        thread->over = context;
        thread->mark = mark | MARK_SLOW; /* SCOPE_LEAVE knows nothing of words */
        return thread;
    }
    if (scope_may_nest(thread, mark)) {
        scope_nest(thread, context, mark);
        return thread;
    }
    if (scope_enter_slow(context, mark))
        return thread_self;
    if (mark & MARK_OWNED)
        context_release(context);
    thread = thread_self;
    if (!thread_is_attached(thread) && thread != &thread_unknown)
        thread->mark = 0; /* an earlier attach at this very depth may have left its mark */
    return thread;
}

/*
 * Rule 18: what the task set and left is destroyed now, by the program's own destructor, unless
 * something captured it (then by the last to let go). In rounds, because a destructor may set
 * another value, as glibc has it at thread exit.
 */
static void destroy_set_values(struct thread *thread)
{
    struct context *own = thread->over;
    struct private_part *part = context_private(own);
    bool again = true;

    for (unsigned round = 0; again && round < DESTRUCTOR_ROUNDS; round++) {
        again = false;
        for (unsigned column = 0; column < slots_columns; column++) {
            const struct key_binding *binding = &key_bindings[column];
            void (*destructor)(void *) = binding->destructor;
            void *value = own->key[column];

            if (!(part->set[column / 64] >> column % 64 & 1) || !value)
                continue;
            if (context_column_is_held(column) && value == context_lent(own)[column])
                continue; /* baton's: take_back_lent */
            own->key[column] = NULL;
            /* The borrowed value put back by the task is still its owner's (rule 19). */
            if ((value == own->base->key[column] && !context_column_is_held(column)) ||
                !binding->is_bound || binding->since > own->epoch || !destructor)
                continue;
            again = true;
            if (!values_defer(column, binding->since, value))
                destructor(value);
            if (thread->over !=
                own) /* the destructor jumped or left: nothing of this is ours any more */
                return;
        }
    }
}

/* Leaves the innermost attach. */
static void level_pop(struct thread *thread)
{
    struct context *attached = thread->over;
    uintptr_t mark = thread->mark;
    struct context *own = attached->flags & CONTEXT_PRIVATE ? attached : NULL;
    struct context *context = own ? own->base : attached;

    if (own && thread->runs)
        vars_leave_holder(thread, own);
    if (own && !(mark & MARK_THREAD)) {
        destroy_set_values(thread);
        if (thread->over != attached)
            return;
    }
    if (own && slots_have_held_keys)
        take_back_lent(own, (mark & MARK_THREAD) != 0);
    if (thread->depth) {
        struct level *level = &thread->levels[thread->depth - 1];

        if (level->saved_at != SIZE_MAX) {
            slots_restore(thread->saved + level->saved_at,
                          mark & MARK_THREAD ? context_copied(context) : NULL, level->epoch);
            if (origins_on)
                origin_back(thread);
            thread->saved_used = level->saved_at;
        }
        thread->over = level->over;
        thread->mark = level->mark;
        thread->depth--;
    } else {
        if (scope_is_wordy)
            slots_restore(thread_front(thread), mark & MARK_THREAD ? context_copied(context) : NULL,
                          0);
        thread->over = NULL;
        thread->mark = 0;
    }
    if (own)
        context_private_free(own);
    if (mark & MARK_OWNED)
        context_release(context);
}

void scope_leave_slow(struct thread *thread, uintptr_t sp)
{
    while (thread_is_attached(thread) && (thread->mark & ~(uintptr_t)MARK_FLAGS) <= sp)
        level_pop(thread);
}

void scope_leave_here(uintptr_t sp)
{
    struct thread *thread = thread_self;
    uintptr_t mark = thread->mark;
    struct context *context;

    /* What scope_enter_any made without a level, if that is all there is. */
    if (scope_is_wordy && !thread->depth && (mark & ~(uintptr_t)MARK_OWNED) == (sp | MARK_SLOW) &&
        thread_is_attached(thread) && !(thread->over->flags & CONTEXT_PRIVATE)) {
        context = thread->over;
        words_detach(0, thread);
        thread->over = NULL;
        if (mark & MARK_OWNED)
            context_release_on(thread, context);
        return;
    }
    /* Or on top of another attach. */
    if ((mark & ~(uintptr_t)MARK_OWNED) == (sp | MARK_SLOW) && scope_is_nested(thread)) {
        context = thread->over;
        scope_unnest(thread);
        if (mark & MARK_OWNED)
            context_release_on(thread, context);
        return;
    }
    scope_leave_slow(thread, sp);
}

uint32_t scope_level(const struct thread *thread)
{
    return thread->depth;
}

bool scope_leave_level(struct thread *thread, uint32_t depth, uintptr_t mark)
{
    uintptr_t found;

    if (!thread_is_attached(thread) || thread->depth < depth)
        return false;
    found = thread->depth == depth ? thread->mark : thread->levels[depth].mark;
    if ((found & ~(uintptr_t)MARK_FLAGS) != mark)
        return false;
    while (thread_is_attached(thread) && thread->depth >= depth)
        level_pop(thread);
    return true;
}

/* Called by the personality of guarded frames (unwind.c). */
void scope_unwind(uintptr_t sp)
{
    struct thread *thread = thread_self;
    bool ends = false;

    vars_leave(thread, sp);
    while (thread_is_attached(thread) && (thread->mark & ~(uintptr_t)MARK_FLAGS) <= sp) {
        ends = (thread->mark & MARK_THREAD) != 0;
        level_pop(thread);
    }
    if (ends)
        thread_leave(thread);
}

void scope_drop_stale(struct thread *thread, uintptr_t sp)
{
    while (thread_is_attached(thread) && (thread->mark & ~(uintptr_t)MARK_FLAGS) < sp &&
           stack_is_same(thread->mark & ~(uintptr_t)MARK_FLAGS, sp))
        level_pop(thread);
}

/*
 * The mark lies between the scope around it and everything that is called from there, so it is left
 * with that scope. A scope of the fast path has no level and knows itself by its context alone: the
 * same context on top of it would be taken for it.
 */
bool scope_adopt(struct context *context)
{
    struct thread *thread = thread_enter();
    uintptr_t mark = SCOPE_MARK_ADOPTED;

    if (!thread)
        return false;
    if (thread->over)
        scope_drop_stale(thread, arch_sp());
    if (thread->over) {
        if (thread->over == context && thread->depth == 0 && !slots_have_copied) {
            context_release(context);
            return true;
        }
        mark = scope_mark_above(thread);
    }
    return scope_enter_slow(context, mark);
}

void scope_leave_adopted(struct thread *thread)
{
    if (thread->over)
        scope_drop_stale(thread, arch_sp());
    if (thread->over && (thread->mark & MARK_FLAGS & ~(uintptr_t)MARK_SLOW) == MARK_ADOPTED)
        level_pop(thread);
}

struct context *scope_leave_keep(struct thread *thread, uintptr_t sp, struct context *context)
{
    struct context *attached, *next = NULL;

    /* First whatever the callback left above us, then look at what it made of our own. */
    while (thread_is_attached(thread) && (thread->mark & ~(uintptr_t)MARK_FLAGS) < sp)
        level_pop(thread);
    attached = thread->over;
    if (!attached || (thread->mark & ~(uintptr_t)MARK_FLAGS) != sp)
        return context; /* already left: an exception passed, or a stale drop */
    if (attached->flags & CONTEXT_PRIVATE ||
        (slots_have_copied && (slots_always_build || !slots_same(context_copied(context)))))
        next = context_visible(thread);
    level_pop(thread);
    if (!next)
        return context;
    context_release(context);
    return next;
}

const void *scope_lent(const struct thread *thread)
{
    const struct level *level = thread->depth ? &thread->levels[thread->depth - 1] : NULL;

    return slots_have_held && level && level->saved_at != SIZE_MAX
               ? thread->saved + level->saved_at + slots_bytes
               : NULL;
}

const void *scope_lent_from(const struct thread *thread)
{
    const struct context *over = thread->over;

    return over ? context_copied(over->flags & CONTEXT_PRIVATE ? over->base : over) : NULL;
}

bool scope_make_private(struct thread *thread)
{
    struct context *own;

    if (thread->over->flags & CONTEXT_PRIVATE)
        return true;
    own = context_private_new(thread->over);
    if (!own)
        return false;
    thread->over = own;
    thread->mark |= MARK_SLOW;
    return true;
}

/*
 * Keys that were made again since the attach are empty in it, whatever the task had set: who deletes
 * a key looks after the values. Not after what baton has lent.
 */
static void bring_up_to_date(struct context *own)
{
    struct private_part *part = context_private(own);
    uint32_t epoch = atomic_load_explicit(&slots_epoch, memory_order_acquire);

    for (unsigned column = 0; column < slots_columns; column++) {
        uint64_t bit = (uint64_t)1 << column % 64;

        if (key_bindings[column].since <= own->epoch)
            continue;
        if (context_column_is_held(column)) {
            if (own->key[column] && own->key[column] == context_lent(own)[column])
                context_void(own)[column / 64] |= bit;
            else if (!(context_void(own)[column / 64] & bit))
                context_lent(own)[column] = NULL;
        }
        own->key[column] = NULL;
        part->set[column / 64] &= ~bit;
    }
    own->epoch = epoch;
}

int scope_set_key(struct thread *thread, unsigned key, unsigned column, const void *value,
                  int (*real)(unsigned, const void *))
{
    struct context *over = thread->over;
    struct private_part *part;

    if (over->epoch < key_bindings[column].since && over->flags & CONTEXT_PRIVATE) {
        bring_up_to_date(over);
    } else if (!(over->flags & CONTEXT_PRIVATE)) {
        if (over->key[column] == value && over->epoch >= key_bindings[column].since &&
            !(thread->mark & MARK_THREAD))
            return 0;
        if (!scope_make_private(thread))
            return 12; /* ENOMEM, as the real function answers */
        over = thread->over;
    }
    if (thread->mark & MARK_THREAD) {
        /* The thread's own from now on: the C library destroys it when the thread ends (rule 13).
         * Last of what may fail, because then the value stays the caller's. */
        int error = real(key, value);

        if (error)
            return error;
    }
    part = context_private(over);
    context_thaw(over);
    if (origins_on)
        origin_seen(over, context_column_slot(column), value);
    if (dangling_on && part->set[column / 64] >> column % 64 & 1 && !context_column_is_held(column))
        dangling_replaced(context_column_slot(column), over->key[column], value);
    over->key[column] = (void *)(uintptr_t)value;
    part->set[column / 64] |= (uint64_t)1 << column % 64;
    return 0;
}
