/*
 * The registry of thread blocks.
 *
 * A block belongs to one living thread at a time, or is spare. Whoever starts a thread through us
 * gives it a spare block that also carries what the thread starts with; it gives the block back in
 * thread_leave at the end of the trampoline. All others (pool workers, the C library's helpers,
 * threads whose key destructors use hooks once more) through the destructor of one pthread key of
 * our own. Blocks are recycled and never freed: their counters add up over the process's life.
 */
#include "context/scope.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>

#include "base/live.h"
#include "base/lock.h"
#include "base/mem.h"
#include "context/pool/slab.h"
#include "context/dangling.h"
#include "context/internal.h"
#include "context/pool/record.h"
#include "context/coroutine.h"
#include "context/thread.h"
#include "context/variables.h"
#include "elf/pointers.h"
#include "slots/origin.h"

/*
 * What unknown threads point to: every fast path's test fails on it (over is never what the guard
 * is, record_next equals record_end, no slab object is at hand and none is wanted), so the slow paths can
 * take a block in peace.
 */
struct thread thread_unknown = {.attached = ATTACHED_UNKNOWN,
                                .slab.count = UINT32_MAX,
                                .blocks.count = UINT32_MAX,
                                .snapshot.draft = NO_DRAFT};

__thread struct thread *thread_self = &thread_unknown;

enum { BLOCKS_BATCH = 8 };

static struct lock registry_lock;
static struct thread *registry_all;
static _Atomic uint32_t registry_count;
static struct thread *_Atomic registry_free;

/* In front of each block, for thread_front; the block stays where a line of the cache begins. */
static size_t front_size;

static pthread_key_t leave_key;
bool thread_ends_are_seen;
static int (*real_setspecific)(pthread_key_t key, const void *value);

void thread_init(int (*key_create)(pthread_key_t *, void (*)(void *)),
                 int (*setspecific)(pthread_key_t, const void *), void (*leave)(void *block))
{
    real_setspecific = setspecific;
    /* Keys from 32 on make setspecific allocate from the program's heap: then whoever starts a thread looks after it. */
    thread_ends_are_seen = key_create(&leave_key, leave) == 0 && leave_key < 32;
}

struct thread *thread_enter(void)
{
    if (thread_self != &thread_unknown)
        return thread_self;
    if (!thread_begin())
        return NULL;
    if (thread_ends_are_seen) {
        int saved_errno = errno;

        real_setspecific(leave_key, thread_self);
        errno = saved_errno;
    }
    return thread_self;
}

/*
 * The C library unwinds up to the first frame without unwind tables, or to the last one of a coroutine's stack, and jumps
 * from there to the end of the thread, where keys are destroyed: ours is among the first.
 */
void thread_will_exit(void)
{
    if (thread_self != &thread_unknown && thread_ends_are_seen)
        real_setspecific(leave_key, thread_self);
}

bool thread_reserve_front(size_t size)
{
    bool is_in_time;

    lock_take(&registry_lock);
    is_in_time = !registry_all;
    if (is_in_time)
        front_size = (size + 63) & ~(size_t)63;
    lock_drop(&registry_lock);
    return is_in_time;
}

enum { COUNTERS_AT = offsetof(struct thread, counts) };

_Static_assert(sizeof(struct thread) - COUNTERS_AT <= 4096, "the counters fit into a page");

/* A block whose counters lie in the live report; NULL: an ordinary one. */
static char *block_in_report(size_t front)
{
    char *counters = live_is_on ? live_block(front + COUNTERS_AT) : NULL;

    return counters ? counters - COUNTERS_AT - front : NULL;
}

void thread_prepare(void)
{
    if (live_is_on)
        live_prepare(front_size + COUNTERS_AT);
}

static struct thread *thread_new(void)
{
    size_t front = front_size;
    char *reported = block_in_report(front);
    char *buffer = reported ? reported : mem_alloc(front + sizeof(struct thread));
    struct thread *thread = (struct thread *)(void *)(buffer + front);

    if (!buffer)
        return NULL;
    thread->is_reported = reported != NULL;
    thread->snapshot.tally = thread->counts.carried;
    thread->snapshot.draft = NO_DRAFT;
    lock_take(&registry_lock);
    if (unlikely(front != front_size)) { /* we are starting up right now */
        lock_drop(&registry_lock);
        if (!reported)
            mem_free(buffer, front + sizeof(struct thread));
        return thread_new();
    }
    thread->next_all = registry_all;
    registry_all = thread;
    atomic_fetch_add_explicit(&registry_count, 1, memory_order_relaxed);
    lock_drop(&registry_lock);
    return thread;
}

/*
 * A block that nobody has, with its own next_free cut off; *rest are more of them. The stack of free
 * blocks is pushed to by one and taken whole, so that no block can come back in between.
 */
static struct thread *thread_find(struct thread **rest)
{
    struct thread *thread = atomic_exchange_explicit(&registry_free, NULL, memory_order_acquire);

    *rest = NULL;
    if (!thread) {
        /* A program that starts and joins one thread at a time then looks here once in a batch. */
        for (unsigned i = 0; i < BLOCKS_BATCH; i++) {
            struct thread *fresh = thread_new();

            if (!fresh)
                break;
            fresh->next_free = thread;
            thread = fresh;
        }
        if (!thread)
            return NULL;
    }
    *rest = thread->next_free;
    thread->next_free = NULL;
    return thread;
}

/* ---- threads that ended without a word ---- */

enum { LOOK_FIRST = 64 };
static _Atomic uint32_t look_at = LOOK_FIRST;
static uint32_t (*count_living)(uint32_t blocks);

void thread_look_by(uint32_t (*look)(uint32_t blocks))
{
    count_living = look;
}

/* Where there would be more blocks than ever: whether all of their threads live. Next when there are twice as many as do. */
static void look_for_gone(void)
{
    uint32_t living, all = atomic_load_explicit(&registry_count, memory_order_relaxed);
    int saved_errno = errno;

    atomic_store_explicit(&look_at, UINT32_MAX, memory_order_relaxed); /* one at a time */
    living = count_living ? count_living(all) : all;
    atomic_store_explicit(&look_at, living * 2 > LOOK_FIRST ? living * 2 : LOOK_FIRST,
                          memory_order_relaxed);
    errno = saved_errno;
}

struct thread *thread_spare_slow(struct thread *creator)
{
    if (creator == &thread_unknown)
        return NULL;
    if (unlikely(atomic_load_explicit(&registry_count, memory_order_relaxed) >= look_at) &&
        !atomic_load_explicit(&registry_free, memory_order_relaxed))
        look_for_gone();
    if (unlikely(creator->spare)) /* what foreign code has left in there has come from here */
        return thread_spare(creator);
    return thread_find(&creator->spare);
}

/* ---- threads that are cancelled ---- */

static bool visit_cancel(const struct elf_module *module, const struct elf_pointer *pointer,
                         void *arg)
{
    (void)module;
    *(bool *)arg |= !strcmp(pointer->name, "pthread_cancel");
    return !*(bool *)arg;
}

static int visit_module(const struct elf_module *module, void *arg)
{
    static const char *const names[] = {"pthread_cancel"};
    static const struct elf_names cancel = {
        names, 1, {ELF_NAMES_BIT('p'), ELF_NAMES_BIT('t'), ELF_NAMES_BIT('h')}};

    elf_each_pointer_to(module, &cancel, visit_cancel, arg);
    return *(bool *)arg;
}

static void look_for_cancel(void)
{
    static atomic_bool has_looked;
    bool is_there = false;

    if (likely(has_looked) || atomic_exchange(&has_looked, true))
        return;
    elf_each_module(visit_module, &is_there);
    if (is_there)
        guard_note_cancel();
}

struct thread *thread_begin(void)
{
    struct thread *thread, *rest;

    if (thread_self != &thread_unknown)
        return thread_self;
    thread = thread_find(&rest);
    if (!thread)
        return NULL;
    look_for_cancel();
    thread->spare = rest;
    thread->worker = 0;
    thread_take(thread);
    return thread;
}

void thread_push(struct thread *thread)
{
    struct thread *next = atomic_load_explicit(&registry_free, memory_order_relaxed);

    do
        thread->next_free = next;
    while (!atomic_compare_exchange_weak_explicit(&registry_free, &next, thread,
                                                  memory_order_release, memory_order_relaxed));
}

void thread_give_spares(struct thread *thread)
{
    while (thread->spare) {
        struct thread *spare = thread->spare;

        thread->spare = spare->next_free;
        thread_push(spare);
    }
}

void thread_give_back(struct thread *thread)
{
    thread_self = &thread_unknown;
    atomic_store_explicit(&thread->tid, 0, memory_order_relaxed);
    thread_push(thread);
}

bool thread_may_each(void)
{
    if (!lock_try(&registry_lock))
        return false;
    lock_drop(&registry_lock);
    return true;
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
    lock_take_for_fork(&registry_lock);
}

/*
 * In the child only the forking thread lives. The blocks of the others are abandoned: what they
 * hold belongs to the parent (rule E24), and their caches must not be counted as ours.
 */
void thread_fork_unlock(bool is_child)
{
    if (is_child) {
        atomic_store(&registry_free, NULL);
        registry_all = NULL;
        if (thread_self != &thread_unknown) {
            thread_self->next_all = thread_self->spare = NULL;
            registry_all = thread_self;
            thread_take(thread_self);
        }
        registry_count = registry_all != NULL;
        look_at = LOOK_FIRST;
        if (live_fork_child(thread_self->is_reported ? &thread_self->counts : NULL) &&
            thread_self !=
                &thread_unknown) /* what the parent has handed over is the parent's to tell */
            memset((char *)thread_self + COUNTERS_AT, 0, sizeof *thread_self - COUNTERS_AT);
    }
    lock_drop_after_fork(&registry_lock);
}
