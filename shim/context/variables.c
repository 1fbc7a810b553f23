/*
 * See variables.h. A run swaps the map and the identity of whoever holds them (the thread, or the private
 * context of the innermost attach) and puts both back when it is left, however that happens: by
 * returning, by unwinding (the frame is guarded), or by longjmp (found at the next use).
 */
#include "context/variables.h"

#include "base/lock.h"
#include "base/mem.h"
#include "context/internal.h"
#include "context/stack.h"
#include "context/thread.h"

static _Atomic uint64_t last_id;

/* Guards the maps of all contexts of the user's: one, so that fork can take it. */
static struct lock maps_lock;

static uint64_t new_id(void)
{
    return atomic_fetch_add_explicit(&last_id, 1, memory_order_relaxed) + 1;
}

/* ---- the present map ---- */

static struct context *holder_of(const struct thread *thread)
{
    return thread_is_attached(thread) && thread->attached->flags & CONTEXT_OVERLAY
               ? thread->attached
               : NULL;
}

static uint64_t *id_at(struct thread *thread, struct context *holder)
{
    return holder ? &context_overlay_part(holder)->vars_id : &thread->variables.id;
}

uint64_t vars_where(struct thread *thread)
{
    struct context *holder;
    uint64_t *id;

    if (thread_is_attached(thread) && !overlay_make(thread))
        return 0;
    holder = holder_of(thread);
    id = id_at(thread, holder);
    if (holder)
        holder->flags |= CONTEXT_TOUCHED;
    if (!*id)
        *id = new_id();
    return *id;
}

static void exchange(struct thread *thread, struct context *holder, struct vars_map *map,
                     uint64_t id)
{
    struct vars_map **place = holder ? &holder->vars : &thread->variables.map;
    struct vars_map *old = *place;

    *place = map;
    *id_at(thread, holder) = id;
    if (holder) {
        holder->flags |= CONTEXT_TOUCHED;
        context_drop_task_snapshot(holder);
    } else {
        context_drop_snapshot(thread);
    }
    vars_unref(old);
}

static void context_set_map(struct vars_context *context, struct vars_map *map)
{
    struct vars_map *old;

    lock_take(&maps_lock);
    old = context->map;
    context->map = map;
    lock_drop(&maps_lock);
    vars_unref(old);
}

void vars_set_now(struct thread *thread, struct vars_map *map)
{
    struct context *holder = holder_of(thread);
    struct vars_run *run = thread->runs;

    if (run && run->holder == holder)
        context_set_map(run->context, vars_ref(map)); /* others may look it up while it runs */
    exchange(thread, holder, map, *id_at(thread, holder));
}

/* ---- contexts of the user's ---- */

struct vars_context *vars_context_new(struct vars_map *map)
{
    struct vars_context *context = mem_alloc(sizeof *context);

    if (!context) {
        vars_unref(map);
        return NULL;
    }
    atomic_init(&context->refs, 1);
    context->id = new_id();
    context->map = map;
    return context;
}

void vars_context_unref(struct vars_context *context)
{
    struct vars_map *map;

    if (!context || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1)
        return;
    map = context->map;
    mem_free(context, sizeof *context);
    vars_unref(map);
}

struct vars_map *vars_context_map(struct vars_context *context)
{
    struct vars_map *map;

    lock_take(&maps_lock);
    map = vars_ref(context->map);
    lock_drop(&maps_lock);
    return map;
}

/* ---- running in one ---- */

/* Leaves the innermost run. */
static void run_pop(struct thread *thread)
{
    struct vars_run *run = thread->runs;
    struct vars_context *context = run->context;

    thread->runs = run->outer;
    exchange(thread, run->holder, run->put_back, run->put_back_id);
    mem_free(run, sizeof *run);
    atomic_store_explicit(&context->is_entered, 0, memory_order_release);
    vars_context_unref(context);
}

void vars_leave(struct thread *thread, uintptr_t sp)
{
    while (thread->runs && thread->runs->sp <= sp)
        run_pop(thread);
}

void vars_drop_stale(struct thread *thread, uintptr_t sp)
{
    while (thread->runs && thread->runs->sp < sp && stack_is_same(thread->runs->sp, sp))
        run_pop(thread);
}

void vars_leave_holder(struct thread *thread, const struct context *holder)
{
    while (thread->runs && thread->runs->holder == holder)
        run_pop(thread);
}

enum vars_run_error vars_enter(struct vars_context *context, uintptr_t sp)
{
    struct thread *thread = thread_enter();
    struct vars_run *run = mem_alloc(sizeof *run);
    struct context *holder;
    int expected = 0;

    if (!thread || !run || !vars_where(thread)) {
        mem_free(run, sizeof *run);
        return VARS_RUN_MEMORY;
    }
    if (!atomic_compare_exchange_strong_explicit(&context->is_entered, &expected, 1,
                                                 memory_order_acquire, memory_order_relaxed)) {
        mem_free(run, sizeof *run);
        return VARS_RUN_ENTERED;
    }
    holder = holder_of(thread);
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    *run = (struct vars_run){thread->runs,          context, sp, holder, vars_ref(vars_now(thread)),
                             *id_at(thread, holder)};
    thread->runs = run;
    exchange(thread, holder, vars_context_map(context), context->id);
    return VARS_RUN_OK;
}

void vars_fork_lock(void)
{
    lock_take_for_fork(&maps_lock);
}

void vars_fork_unlock(void)
{
    lock_drop_after_fork(&maps_lock);
}
