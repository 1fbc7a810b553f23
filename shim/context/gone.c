/*
 * Threads that have ended by a system call of their own (SYS_exit). The C library has nothing to do with such an end: no
 * key is destroyed, no frame is unwound, and its descriptor may be unmapped or another thread's by the time that anybody
 * looks. So nothing of the thread is read but its block, which is ours, and whether it lives is asked of the kernel by the
 * number that the thread itself has left in the block: in the one call that a program with threads cannot do without,
 * a futex that says who has it. A sandbox may not know that operation, though, and kill: so it is made only where there
 * is none as far as the kernel tells the thread, and only where there are more blocks than a program without such ends has.
 *
 * Rules: what is in doubt stays as it is. Nothing of the thread's own memory is touched: values that were lent to its
 * thread-local words have gone with it. What it has set itself is nobody's, as ever at such an end: no destructor runs.
 * A value that waited for the thread as its last holder is destroyed by whoever looks.
 */
#include "context/gone.h"

#include <linux/futex.h>
#include <string.h>

#include "base/sandbox.h"
#include "base/sys.h"
#include "context/coroutine.h"
#include "context/internal.h"
#include "context/thread.h"
#include "slots/policy.h"

static atomic_bool is_looking;

enum { STATUS_SIZE = 4096, NOBODY_KNOWS = UINT32_MAX / 4 };
static char status[STATUS_SIZE]; /* whoever is looking has it */

void gone_begin(void)
{
    thread_look_by(gone_look);
}

void gone_forked(void)
{
    atomic_store(&is_looking, false);
}

/* Tries to take a lock that the thread of that number has: -ESRCH when there is none, -EDEADLK when it is the caller. */
static long ask_for(int32_t tid)
{
    uint32_t lock = (uint32_t)tid;

    return SYS_CALL(futex, &lock, FUTEX_TRYLOCK_PI_PRIVATE, 0L, NULL, NULL, 0L);
}

/*
 * A child that was made without the handlers of fork has the numbers of its parent's threads, none of which lives in it;
 * so has one that shares our memory (vfork): there the caller's own number is another one than the C library has noted.
 * And whether a number is where we think that it is.
 */
static bool may_look(void)
{
    return arch_tid() && ask_for(arch_tid()) == -EDEADLK;
}

/* The number in that line; -1: there is none. */
static long status_line(const char *name)
{
    const char *at = strstr(status, name);
    long number = -1;

    if (!at)
        return -1;
    for (at += strlen(name); *at == '\t' || *at == ' ';)
        at++;
    for (; *at >= '0' && *at <= '9'; at++)
        number = (number < 0 ? 0 : number * 10) + (*at - '0');
    return number;
}

/*
 * How many threads live, where the thread is in no sandbox, neither of its own nor an inherited one; else, and in doubt,
 * -1. It is asked as the loader asks for libraries, and as we have at the start: an inherited sandbox allows that.
 */
static long threads_outside(void)
{
    int fd = sys_open("/proc/thread-self/status", O_RDONLY | O_NONBLOCK, 0);
    long got;

    if (fd < 0)
        return -1;
    got = sys_read(fd, status, sizeof status - 1);
    sys_close(fd);
    status[got > 0 ? got : 0] = '\0';
    return status_line("\nSeccomp:") == 0 ? status_line("\nThreads:") : -1;
}

/* It has ended between two things that belong together, by a signal handler that has interrupted us; or on another stack. */
static bool is_torn(const struct thread *dead)
{
    const struct coroutines *own = dead->coroutines;

    return dead->moving || dead->building || dead->runs || dead->snapshot.is_begun ||
           (own && (own->current != &own->main_stack || own->main_stack.away)) ||
           atomic_load(&dead->flushes.begun) != atomic_load(&dead->flushes.done);
}

/* As entry_pop (scope.c), of one whose values nobody can see any more. */
static void drop_attach(struct thread *dead)
{
    struct context *attached = dead->attached;
    struct context *own = attached->flags & CONTEXT_OVERLAY ? attached : NULL;
    struct context *context = own ? own->base : attached;
    uintptr_t frame_mark = dead->frame_mark;

    if (own && slots_have_owned_keys)
        overlay_reclaim(own, (frame_mark & FRAME_THREAD) != 0);
    if (dead->depth) {
        const struct scope_entry *entry = &dead->entries[--dead->depth];

        if (entry->saved_at < SAVED_PUT_BACK)
            dead->saved_used = entry->saved_at;
        dead->attached = entry->attached;
        dead->frame_mark = entry->frame_mark;
    } else {
        dead->attached = NULL;
        dead->frame_mark = 0;
    }
    if (own)
        overlay_free(own);
    if (frame_mark & FRAME_OWNED)
        context_release(context);
}

static void visit(struct thread *thread, void *arg)
{
    uint32_t *living = arg;
    int32_t tid = atomic_load_explicit(&thread->tid, memory_order_acquire);

    if (!tid)
        return;
    /* The block may have been given back, and taken by the next, since its number was read. */
    if (thread == thread_self || ask_for(tid) != -ESRCH ||
        !atomic_compare_exchange_strong(&thread->tid, &tid, 0)) {
        ++*living;
        return;
    }
    if (is_torn(thread))
        return;
    thread->trace.of = TRACE_OF_NOBODY;
    while (thread_is_attached(thread))
        drop_attach(thread);
    coroutine_thread_ends(thread);
    thread_let_go_of_caches(thread);
    thread_push(thread);
}

uint32_t gone_look(uint32_t blocks)
{
    uint32_t living = 0;
    long threads;

    if (!sandbox_allows_owners() || atomic_exchange(&is_looking, true))
        return NOBODY_KNOWS;
    threads = threads_outside();
    if (threads < 0)
        living = NOBODY_KNOWS;
    else if (blocks <= 2 * threads)
        living = (uint32_t)threads;
    else if (may_look())
        thread_each(visit, &living);
    else
        living = NOBODY_KNOWS;
    atomic_store(&is_looking, false);
    return living;
}
