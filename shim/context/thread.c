/*
 * The registry of thread blocks.
 *
 * A block belongs to one living thread at a time. Threads that we start give theirs back in
 * thread_leave at the end of the trampoline; all others (pool workers, the C library's helpers,
 * threads whose key destructors use hooks once more) through the destructor of one pthread key of
 * our own. Blocks are recycled and never freed: their counters add up over the process's life.
 */
#include "context/context.h"

#include <errno.h>
#include <pthread.h>

#include "base/lock.h"
#include "base/mem.h"
#include "context/cell.h"
#include "context/record.h"
#include "context/strand.h"
#include "context/thread.h"
#include "context/vars.h"
#include "slots/policy.h"

/*
 * What unknown threads point to: every fast path's test fails on it (over is never what the guard
 * is, record_next equals record_end, no cell is at hand and none is wanted), so the slow paths can
 * take a block in peace.
 */
struct thread thread_unknown = {.over = OVER_UNKNOWN, .cells_count = UINT32_MAX};

__thread struct thread *thread_self = &thread_unknown;

static struct lock registry_lock;
static struct thread *registry_all, *registry_free;

static pthread_key_t leave_key;
static bool has_leave_key;
static int (*real_setspecific)(pthread_key_t key, const void *value);

static void thread_leave_at_exit(void *block)
{
    if (thread_self == block)
        thread_leave(block);
}

void thread_init(int (*key_create)(pthread_key_t *, void (*)(void *)), int (*setspecific)(pthread_key_t, const void *))
{
    real_setspecific = setspecific;
    /* Keys from 32 on make setspecific allocate from the program's heap: then rather leak a block. */
    has_leave_key = key_create(&leave_key, thread_leave_at_exit) == 0 && leave_key < 32;
}

struct thread *thread_enter(void)
{
    return thread_self != &thread_unknown ? thread_self : thread_enter_kind(false);
}

struct thread *thread_enter_kind(bool leaves_by_itself)
{
    struct thread *thread = thread_self;

    if (thread != &thread_unknown)
        return thread;
    lock_take(&registry_lock);
    thread = registry_free;
    if (thread)
        registry_free = thread->next_free;
    lock_drop(&registry_lock);
    if (!thread) {
        thread = mem_alloc(sizeof *thread);
        if (!thread)
            return NULL;
        thread->tally = thread->carried;
        lock_take(&registry_lock);
        thread->next_all = registry_all;
        registry_all = thread;
        lock_drop(&registry_lock);
    }
    thread_self = thread;
    if (!leaves_by_itself && has_leave_key) {
        int saved_errno = errno;

        real_setspecific(leave_key, thread);
        errno = saved_errno;
    }
    return thread;
}

void thread_leave(struct thread *thread)
{
    if (thread == &thread_unknown)
        return;
    scope_leave_slow(thread, UINTPTR_MAX & ~(uintptr_t)MARK_FLAGS);
    strand_thread_ends(thread);
    context_drop_snapshot(thread);
    context_settle_debt(thread);
    record_flush(thread);
    cell_flush(thread);
    thread->suppress = 0;
    if (slots_have_held)
        policy_changed(thread, NULL);
    vars_leave(thread, UINTPTR_MAX);
    thread->vars_id = 0;
    if (thread->vars) {
        struct vars_map *vars = thread->vars;

        thread->vars = NULL;
        vars_unref(vars);
        context_drop_snapshot(thread); /* the free functions may have handed over */
    }
    thread_self = &thread_unknown;
    lock_take(&registry_lock);
    thread->next_free = registry_free;
    registry_free = thread;
    lock_drop(&registry_lock);
}

void thread_each(void (*visit)(struct thread *thread, void *arg), void *arg)
{
    struct thread *thread;

    lock_take(&registry_lock);
    thread = registry_all; /* append only: safe to walk without the lock */
    lock_drop(&registry_lock);
    for (; thread; thread = thread->next_all)
        visit(thread, arg);
}

void thread_fork_lock(void)
{
    lock_take(&registry_lock);
}

/*
 * In the child only the forking thread lives. The blocks of the others are abandoned: what they
 * hold belongs to the parent (rule E24), and their caches must not be counted as ours.
 */
void thread_fork_unlock(bool is_child)
{
    if (is_child) {
        registry_free = NULL;
        registry_all = NULL;
        if (thread_self != &thread_unknown) {
            thread_self->next_all = NULL;
            registry_all = thread_self;
        }
    }
    lock_drop(&registry_lock);
}
