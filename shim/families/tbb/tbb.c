/*
 * oneTBB: every task that is handed to the scheduler, and with them parallel_for and its like, task groups,
 * arenas, flow graphs, std::execution::par, and libraries above them.
 *
 * The loops are templates in the program, but all of them end in seven functions of libtbb, which take a
 * task: an object with two virtual functions, one of which is called once. Its vptr is exchanged for a
 * shadow vtable and the context rides in a word of the task that libtbb keeps for later versions. When the
 * task is run or cancelled its own vptr is back before it is called, because a task may free itself, spawn
 * itself or be what it returns: a task that is returned is run next, and handed over with that.
 *
 * Only for versions that have been read; a task that does not look as it should is left alone, counted and
 * said once. task_arena::execute takes a function object, which runs in whatever thread is free.
 * Source: oneTBB 2021.5 to 2022.0, include/oneapi/tbb/detail/_task.h and src/tbb/scheduler_common.h.
 */
#include "base/log.h"
#include "families/handoff.h"
#include "interpose/next.h"
#include "interpose/versions.h"
#include "interpose/vtable.h"

enum { TASK_ALIGN = 64, SLOT_EXECUTE = 2, SLOT_CANCEL = 3, CONTEXT_WORD = 5 };
/* Tasks of the scheduler's own. */
enum { TRAIT_PROXY = 1, TRAIT_RESUME = 2 };

struct tbb_task {
    void **vptr;
    uint64_t traits;
    uint64_t reserved[6]; /* all zero in a new one; libtbb uses the first and the third */
};
_Static_assert(sizeof(struct tbb_task) == TASK_ALIGN, "a task is a cache line");

typedef struct tbb_task *task_function(struct tbb_task *, void *execution);

static struct tbb_task *run_execute(struct tbb_task *task, void *execution);
static struct tbb_task *run_cancel(struct tbb_task *task, void *execution);

static const struct vtable_set task_set = {
    .count = 2,
    .replaced = {{SLOT_EXECUTE, (void *)run_execute}, {SLOT_CANCEL, (void *)run_cancel}},
};

static void leave_alone(const char *why)
{
    static _Atomic bool is_said;

    context_count_bare(FAMILY_TBB, BARE_LAYOUT);
    if (!atomic_exchange(&is_said, true))
        log_msg(LOG_LEVEL_WARN, "tbb: %s: its tasks are not carried", why);
}

/* Whether the libtbb that the caller is bound to has been read. */
static bool is_known(const void *caller)
{
    int (*version)(void) = NEXT(int (*)(void), "TBB_runtime_interface_version", caller);
    int number = version ? version() : 0;

    return likely(version_is_read(VERSION_TBB, number > 0 ? (unsigned)number : 0));
}

/* Captures for a task that is handed over now. One that waits with a context is left as it is: libtbb's
 * functions call one another through their names. */
static void wrap(struct tbb_task *task)
{
    struct context *context;
    void **shadow;

    if (vtable_is_shadow(&task_set, task->vptr) || task->traits & (TRAIT_PROXY | TRAIT_RESUME))
        return;
    if (unlikely((uintptr_t)task % TASK_ALIGN || task->traits || task->reserved[CONTEXT_WORD] ||
                 !(shadow = vtable_shadow(&task_set, task->vptr)))) {
        leave_alone("a task does not look as expected");
        return;
    }
    context = context_capture(FAMILY_TBB);
    if (unlikely(!context))
        return;
    task->reserved[CONTEXT_WORD] = (uint64_t)(uintptr_t)context;
    task->vptr = shadow;
}

static void wrap_for(struct tbb_task *task, const void *caller)
{
    if (is_known(caller))
        wrap(task);
    else
        leave_alone("a version of oneTBB that has not been tried");
}

/* What it returns is handed over by it, so while its context is attached. */
static struct tbb_task *call(struct tbb_task *task, void *execution, task_function *function)
{
    struct tbb_task *next = function(task, execution);

    if (next)
        wrap(next);
    return next;
}

static inline __attribute__((always_inline)) struct context *unwrap(struct tbb_task *task)
{
    struct context *context = (struct context *)(uintptr_t)task->reserved[CONTEXT_WORD];

    task->reserved[CONTEXT_WORD] = 0;
    task->vptr = vtable_real(task->vptr);
    return context;
}

static GUARDED struct tbb_task *run_execute(struct tbb_task *task, void *execution)
{
    GUARDED_FRAME();
    struct context *context = unwrap(task);
    struct tbb_task *next;

    SCOPE_RUN(context, FRAME_OWNED,
              next = call(task, execution, (task_function *)task->vptr[SLOT_EXECUTE]));
    return next;
}

static GUARDED struct tbb_task *run_cancel(struct tbb_task *task, void *execution)
{
    GUARDED_FRAME();
    struct context *context = unwrap(task);
    struct tbb_task *next;

    SCOPE_RUN(context, FRAME_OWNED,
              next = call(task, execution, (task_function *)task->vptr[SLOT_CANCEL]));
    return next;
}

#define spawn _ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextE
#define spawn_to _ZN3tbb6detail2r15spawnERNS0_2d14taskERNS2_18task_group_contextEt
#define submit _ZN3tbb6detail2r16submitERNS0_2d14taskERNS2_18task_group_contextEPNS1_5arenaEm
#define enqueue _ZN3tbb6detail2r17enqueueERNS0_2d14taskEPNS2_15task_arena_baseE
#define enqueue_in \
    _ZN3tbb6detail2r17enqueueERNS0_2d14taskERNS2_18task_group_contextEPNS2_15task_arena_baseE
#define execute _ZN3tbb6detail2r17executeERNS0_2d115task_arena_baseERNS2_13delegate_baseE
#define execute_and_wait \
    _ZN3tbb6detail2r116execute_and_waitERNS0_2d14taskERNS2_18task_group_contextERNS2_12wait_contextES6_
#define BODY_AS(name) hook_##name
#define BODY(name) BODY_AS(name)
#define REAL_OF(name) REAL(name)

void BODY(spawn)(struct tbb_task *task, void *group)
{
    wrap_for(task, __builtin_return_address(0));
    REAL_OF(spawn)(task, group);
}

void BODY(spawn_to)(struct tbb_task *task, void *group, unsigned short slot)
{
    wrap_for(task, __builtin_return_address(0));
    REAL_OF(spawn_to)(task, group, slot);
}

void BODY(submit)(struct tbb_task *task, void *group, void *arena, unsigned long as_critical)
{
    wrap_for(task, __builtin_return_address(0));
    REAL_OF(submit)(task, group, arena, as_critical);
}

void BODY(enqueue)(struct tbb_task *task, void *arena)
{
    wrap_for(task, __builtin_return_address(0));
    REAL_OF(enqueue)(task, arena);
}

void BODY(enqueue_in)(struct tbb_task *task, void *group, void *arena)
{
    wrap_for(task, __builtin_return_address(0));
    REAL_OF(enqueue_in)(task, group, arena);
}

void BODY(execute_and_wait)(struct tbb_task *task, void *group, void *wait, void *wait_group)
{
    wrap_for(task, __builtin_return_address(0));
    REAL_OF(execute_and_wait)(task, group, wait, wait_group);
}

/* ---- task_arena::execute: synchronous, but perhaps in another thread ---- */

struct tbb_delegate {
    void *const *vptr; /* the call operator, then two destructors */
};

struct delegate {
    struct tbb_delegate head;
    struct tbb_delegate *real;
    struct context *context; /* NULL: whoever runs it has taken it */
    const struct thread *thread;
};

typedef _Bool delegate_function(struct tbb_delegate *);

static GUARDED _Bool run_elsewhere(struct context *context, struct tbb_delegate *real)
{
    GUARDED_FRAME();
    _Bool result;

    SCOPE_RUN(context, FRAME_OWNED, result = ((delegate_function *)real->vptr[0])(real));
    return result;
}

/* Once, and the caller waits. An exception passes by way of the caller's frame, which holds nothing then. */
static _Bool run_delegate(struct tbb_delegate *head)
{
    struct delegate *delegate = (struct delegate *)head;
    struct tbb_delegate *real = delegate->real;
    struct context *context = delegate->context;

    delegate->context = NULL;
    if (context && delegate->thread != thread_self)
        return run_elsewhere(context, real);
    if (context)
        context_release(context);
    return ((delegate_function *)real->vptr[0])(real);
}

static void end_delegate(struct tbb_delegate *head)
{
}

static void *const delegate_vtable[] = {
    NULL, NULL, (void *)run_delegate, (void *)end_delegate, (void *)end_delegate,
};

void BODY(execute)(void *arena, struct tbb_delegate *function)
{
    struct delegate delegate = {.head.vptr = delegate_vtable + 2, .real = function};

    if (is_known(__builtin_return_address(0)))
        delegate.context = context_capture(FAMILY_TBB);
    else
        leave_alone("a version of oneTBB that has not been tried");
    delegate.thread = thread_self;
    REAL_OF(execute)(arena, delegate.context ? &delegate.head : function);
    if (delegate.context)
        context_release(delegate.context);
}
