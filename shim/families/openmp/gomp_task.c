/*
 * libgomp: explicit tasks and task loops.
 *
 * GOMP_task is given a block of arguments, which libgomp copies (or lets a copy function copy) into
 * the task. We hand it a larger one, [head][arguments], so the context travels inside libgomp's own
 * task and nothing is allocated. What libgomp itself knows of the block is kept true: a detachable
 * task's event is written to its first word, a task loop's bounds to the first two, and the third is
 * a reduction's. There is no copy function where the program has none, because libgomp never
 * discards a task that has been copied by one.
 *
 * Release: by the task that ran; of a discarded one by its team (gomp_team.h). A task loop that waits
 * for its tasks lends them its context; one that does not (nogroup) counts the iterations left.
 * Source: libgomp of gcc 12, task.c, taskloop.c.
 */
#include <string.h>

#include "context/fast.h"
#include "families/openmp/gomp_task.h"

typedef void omp_function(void *);
typedef void copy_function(void *, void *);

/* gomp-constants.h */
enum { TASK_UP = 1 << 8, TASK_NOGROUP = 1 << 11, TASK_DETACH = GOMP_TASK_DETACH };

enum { ON_STACK_MAX = 4096 };

/* ---- tasks without peculiarities ---- */

enum { HEAD_ALIGN = sizeof(struct gomp_head) }; /* the arguments follow, aligned to at most this */

static GUARDED void run_task_slow(struct gomp_head *head)
{
    GUARDED_FRAME();
    SCOPE_RUN(head->context, FRAME_OWNED, head->function(head + 1));
}

GUARDED void gomp_run_task(void *block)
{
    GUARDED_FRAME();
    struct thread *thread = thread_self;
    struct gomp_head *head = block;

    if (unlikely(!thread_is_plain(thread))) {
        run_task_slow(head);
        return;
    }
    SCOPE_RUN_PLAIN(thread, head->context, FRAME_OWNED, head->function(head + 1));
}

/* ---- all others ---- */

/*
 * At the start of the task's block; arguments at `offset`. In the source block of a task with a copy
 * function there are none: the program's own are copied from where they are.
 */
struct far_head {
    void *word[3];
    omp_function *function;
    struct context *context;
    struct team *team;
    struct loose_task
        *loose; /* knows of the context until the task runs; NULL: cannot be discarded */
    struct loop *loop;
    long offset;
    long size;
    unsigned flags;
    bool is_copied; /* in the source: the copy function has been called */
    copy_function *copy;
    void *data;
};

static inline void *far_arguments(struct far_head *head)
{
    return (char *)head + head->offset;
}

/* In a program whose tasks may be discarded, the task's own tasks belong to its team as well. */
static GUARDED void run_in_team(struct team *team, struct context *context, omp_function *function,
                                void *arguments)
{
    GUARDED_FRAME();
    struct team *outer = team_current;

    team_current = team;
    SCOPE_RUN(context, FRAME_OWNED, function(arguments));
    team_current = outer;
}

static void run_far(void *block)
{
    struct far_head *head = block;
    void *arguments = far_arguments(head);

    if (head->flags & TASK_DETACH && head->size >= (long)sizeof(void *))
        *(void **)arguments = head->word[0];
    if (head->loose)
        loose_take(head->loose);
    run_in_team(head->team, head->context, head->function, arguments);
}

/* libgomp's copy: our head, and the program's copy function on its own arguments. */
static void copy_far(void *to, void *from)
{
    struct far_head *source = from;

    source->is_copied = true;
    memcpy(to, source, sizeof *source);
    if (source->flags & TASK_DETACH && source->data)
        *(void **)source->data = source->word[0];
    source->copy(far_arguments(to), source->data);
}

static long round_up(long size, long align)
{
    return (size + align - 1) & -align;
}

/* A block [head][arguments] of its own, from the stack if small. */
struct block {
    struct far_head *head;
    size_t mapped;
};

#define BLOCK_NEW(block, total)                                                   \
    do {                                                                          \
        size_t total_ = (size_t)(total);                                          \
                                                                                  \
        (block).mapped = total_ > ON_STACK_MAX ? total_ : 0;                      \
        (block).head = (block).mapped ? mem_alloc(total_)                         \
                                      : __builtin_alloca_with_align(total_, 128); \
        if ((block).head)                                                         \
            memset((block).head, 0, sizeof *(block).head);                        \
    } while (0)

static __attribute__((noinline)) void task_far(REAL_TYPE(GOMP_task) real, struct context *context,
                                               bool is_loose, omp_function *function, void *data,
                                               copy_function *copy, long size, long align,
                                               bool may_defer, unsigned flags, void *depend,
                                               int priority, void *detach)
{
    long offset = round_up(sizeof(struct far_head), align > 8 ? align : 8);
    struct block block;

    BLOCK_NEW(block, offset + (copy ? 0 : size));
    if (block.head && is_loose && !copy) {
        block.head->loose = loose_new(context);
        if (!block.head->loose) {
            mem_free(block.mapped ? block.head : NULL, block.mapped);
            block.head = NULL;
        }
    }
    if (!block.head) {
        context_rollback(FAMILY_GOMP, context);
        context_count_bare(FAMILY_GOMP, BARE_MEMORY);
        real(function, data, copy, size, align, may_defer, flags, depend, priority, detach);
        return;
    }
    block.head->function = function;
    block.head->context = context;
    block.head->team = is_loose ? team_current : NULL;
    block.head->offset = offset;
    block.head->size = size;
    block.head->flags = flags;
    block.head->copy = copy;
    block.head->data = data;
    if (!copy && size)
        memcpy(far_arguments(block.head), data, (size_t)size);
    real(run_far, block.head, copy ? copy_far : NULL, offset + size, align > 8 ? align : 8,
         may_defer, flags, depend, priority, detach);
    if (flags & TASK_DETACH && data)
        *(void **)data = block.head->word[0];
    if (copy && !block.head->is_copied) /* the region had been cancelled: there is no task */
        context_rollback(FAMILY_GOMP, context);
    if (block.mapped)
        mem_free(block.head, block.mapped);
}

static APART void task_slow(omp_function *function, void *data, copy_function *copy, long size,
                            long align, _Bool may_defer, unsigned flags, void *depend, int priority,
                            void *detach)
{
    REAL_TYPE(GOMP_task) real = REAL(GOMP_task);
    bool cancels = team_can_cancel(__builtin_return_address(0));
    struct context *context = function ? context_capture(FAMILY_GOMP) : NULL;
    struct gomp_head *head;

    if (!context) {
        real(function, data, copy, size, align, may_defer, flags, depend, priority, detach);
        return;
    }
    if (copy || flags & TASK_DETACH || align > HEAD_ALIGN || size > ON_STACK_MAX || cancels) {
        task_far(real, context, cancels, function, data, copy, size, align, may_defer, flags,
                 depend, priority, detach);
        return;
    }
    head = __builtin_alloca_with_align(sizeof *head + (size_t)size, 128);
    head->function = function;
    head->context = context;
    memcpy(head + 1, data, (size_t)size);
    real(gomp_run_task, head, NULL, size + (long)sizeof *head, HEAD_ALIGN, may_defer, flags, depend,
         priority, detach);
}

/* What nearly all tasks are: one to eight words of arguments. */
enum { WORDS_MAX = 8 };

/* Whole registers and stack words: they are passed on as they came. */
typedef void task_function(omp_function *, void *, copy_function *, long, long, long, long, void *,
                           long, void *);

/* Volatile: the stacked arguments stay where they are until they are passed on, instead of in registers
 * that have to be saved. */
void gomp_task_plain(omp_function *function, void *data, copy_function *copy, long size, long align,
                     long may_defer, long flags, void *volatile depend, volatile long priority,
                     void *volatile detach)
{
    bool is_words = ((unsigned long)(size - 8) & ~(unsigned long)(8 * (WORDS_MAX - 1))) == 0;
    struct context *context;
    struct {
        struct gomp_head head;
        uint64_t arguments[WORDS_MAX];
    } __attribute__((aligned(16))) block;
    const char *from = data;
    long at = 0;

    if (unlikely(copy || !is_words || align > HEAD_ALIGN || flags & TASK_DETACH ||
                 !(context = context_try_capture(FAMILY_GOMP)))) {
        task_slow(function, data, copy, size, align, (_Bool)may_defer, (unsigned)flags, depend,
                  (int)priority, detach);
        return;
    }
    block.head.context = context;
    block.head.function = function;
    do {
        memcpy((char *)block.arguments + at, from + at, sizeof(uint64_t));
        at += sizeof(uint64_t);
    } while (at != size);
    ((task_function *)hook_real[HOOK_GOMP_task])(gomp_run_task, &block, NULL,
                                                 size + (long)sizeof block.head, HEAD_ALIGN,
                                                 may_defer, flags, depend, priority, detach);
}

void hook_GOMP_task(omp_function *function, void *data, copy_function *copy, long size, long align,
                    _Bool may_defer, unsigned flags, void *depend, int priority, void *detach)
{
#ifdef ARCH_HAS_GOMP_WORD
    TEAM_CHOOSE(GOMP_task, gomp_task_word);
#else
    TEAM_CHOOSE(GOMP_task, gomp_task_plain);
#endif
    task_slow(function, data, copy, size, align, may_defer, flags, depend, priority, detach);
}

/* ---- task loops ---- */

/* What the tasks of one loop share: on the stack of the loop's thread, or allocated and counted. */
struct loop {
    struct context *context;
    struct team *team; /* whose tasks they are, when that matters */
    struct loose_task
        *loose; /* holds the reference of a counted loop whose tasks may be discarded */
    unsigned long step;
    bool is_up;
    bool is_counted;            /* nogroup: the task that runs the last iteration lets go */
    _Atomic unsigned long left; /* iterations */
};

static unsigned long iterations(unsigned long start, unsigned long end, unsigned long step,
                                bool is_up)
{
    return is_up ? (end - start + step - 1) / step : (start - end - step - 1) / -step;
}

static void loop_finish(struct loop *loop, unsigned long done)
{
    struct context *context = loop->context;

    if (atomic_fetch_sub_explicit(&loop->left, done, memory_order_acq_rel) != done)
        return;
    if (loop->loose)
        loose_take(loop->loose);
    handoff_free(loop, sizeof *loop);
    context_release_on(thread_self, context);
}

static GUARDED void run_loop_task(void *block)
{
    GUARDED_FRAME();
    struct far_head *head = block;
    struct loop *loop = head->loop;
    omp_function *function = head->function;
    void *arguments = far_arguments(head);
    unsigned long start = (unsigned long)head->word[0], end = (unsigned long)head->word[1];
    struct team *outer = team_current;

    memcpy(arguments, head->word, 2 * sizeof(void *));
    team_current = loop->team;
    SCOPE_RUN(loop->context, 0, function(arguments));
    team_current = outer;
    if (loop->is_counted)
        loop_finish(loop, iterations(start, end, loop->step, loop->is_up));
}

/* The loop of a call that does not wait for its tasks; takes over the context. NULL: no memory. */
static struct loop *loop_new(const struct loop *model, bool is_loose)
{
    struct loop *loop = handoff_alloc(sizeof *loop);

    if (!loop)
        return NULL;
    memcpy(loop, model, sizeof *loop);
    if (is_loose) {
        loop->loose = loose_new(model->context);
        if (!loop->loose) {
            handoff_free(loop, sizeof *loop);
            return NULL;
        }
        loop->loose->block = loop;
        loop->loose->block_size = sizeof *loop;
    }
    return loop;
}

/* What both widths have in common; a long and an unsigned long long are of one size here. */
_Static_assert(sizeof(long) == sizeof(unsigned long long), "bounds are read as words");

#define TASKLOOP(NAME, is_upwards, is_nothing)                                                    \
    do {                                                                                          \
        bool cancels = team_can_cancel(__builtin_return_address(0));                              \
        struct loop own = {.step = (unsigned long)step, .is_up = (is_upwards)}, *loop = &own;     \
        long offset = round_up(sizeof(struct far_head), align > 8 ? align : 8);                   \
        struct block block = {0};                                                                 \
                                                                                                  \
        if (!function || (is_nothing) || !(own.context = context_capture(FAMILY_GOMP))) {         \
            REAL(NAME)                                                                            \
            (function, data, copy, size, align, flags, tasks, priority, start, end, step);        \
            return;                                                                               \
        }                                                                                         \
        own.team = cancels ? team_current : NULL;                                                 \
        own.is_counted = (flags & TASK_NOGROUP) != 0;                                             \
        own.left = iterations((unsigned long)start, (unsigned long)end, own.step, own.is_up);     \
        BLOCK_NEW(block, offset + (copy ? 0 : size));                                             \
        if (block.head && own.is_counted)                                                         \
            loop = loop_new(&own, cancels);                                                       \
        if (!block.head || !loop) {                                                               \
            mem_free(block.mapped ? block.head : NULL, block.mapped);                             \
            context_rollback(FAMILY_GOMP, own.context);                                           \
            context_count_bare(FAMILY_GOMP, BARE_MEMORY);                                         \
            REAL(NAME)                                                                            \
            (function, data, copy, size, align, flags, tasks, priority, start, end, step);        \
            return;                                                                               \
        }                                                                                         \
        loop_fill(block.head, loop, function, data, copy, size, offset);                          \
        REAL(NAME)                                                                                \
        (run_loop_task, block.head, copy ? copy_far : NULL, offset + size, align > 8 ? align : 8, \
         flags, tasks, priority, start, end, step);                                               \
        mem_free(block.mapped ? block.head : NULL, block.mapped);                                 \
        if (loop == &own)                                                                         \
            context_release_on(thread_self, own.context);                                         \
    } while (0)

static void loop_fill(struct far_head *head, struct loop *loop, omp_function *function, void *data,
                      copy_function *copy, long size, long offset)
{
    size_t words = (size_t)size < sizeof head->word ? (size_t)size : sizeof head->word;

    if (data)
        memcpy(head->word, data, words);
    head->function = function;
    head->loop = loop;
    head->offset = offset;
    head->size = size;
    head->copy = copy;
    head->data = data;
    if (!copy && size)
        memcpy(far_arguments(head), data, (size_t)size);
}

void hook_GOMP_taskloop(omp_function *function, void *data, copy_function *copy, long size,
                        long align, unsigned flags, long tasks, int priority, long start, long end,
                        long step)
{
    TASKLOOP(GOMP_taskloop, step > 0, step > 0 ? start >= end : start <= end);
}

void hook_GOMP_taskloop_ull(omp_function *function, void *data, copy_function *copy, long size,
                            long align, unsigned flags, long tasks, int priority,
                            unsigned long long start, unsigned long long end,
                            unsigned long long step)
{
    TASKLOOP(GOMP_taskloop_ull, (flags & TASK_UP) != 0,
             flags & TASK_UP ? start >= end : start <= end);
}
