/*
 * libbaton-waits.so: where threads wait for and wake each other by conditions, semaphores, eventfds and futexes that they
 * ask the system for themselves, so that the verdict of a run can name a pool that nobody knows. `baton run` preloads it where a verdict was asked for, and nobody else.
 *
 * Promise: each call goes on to the real function by a jump, so that nothing of ours is on the stack while a thread
 * waits or is cancelled. Only the first calls with each object are looked at, in a table of fixed size that
 * libbaton.so lends (base/live.h); until it has, and in a child that has none, a call is a load and a jump.
 * No lock, no memory, no message, and after the start no system call: the program may be in a sandbox that ends it
 * for one. sem_post stays safe in a signal handler.
 *
 * The C library has to have all of these functions itself (from 2.34 on): the launcher sees to it, because a program
 * that asks whether there is a sem_post would be told so by ours.
 */
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <threads.h>
#include <time.h>
#include <unistd.h>

#include "base/arch.h"
#include "base/waits.h"
#include "elf/elf.h"

#define EXPORTED __attribute__((visibility("default")))

enum { SAMPLES_MAX = 200, PROBES = 8, STACK_WORDS = 64, PAGE = 4096 };

/* Set by libbaton.so, which finds it by name. */
EXPORTED struct waits_page *_Atomic baton_waits_page;

/* ---- who called ---- */

/* The module that has ADDRESS, and ARCH_CALL_MAX bytes in front of it, among its instructions. */
static const struct waits_module *module_at(const struct waits_page *page, uintptr_t address)
{
    for (unsigned i = 0; i < WAITS_MODULES && page->modules[i].hi; i++) {
        const struct waits_module *module = &page->modules[i];

        if (address < module->lo || address >= module->hi)
            continue;
        for (unsigned j = 0; j < WAITS_TEXTS && module->texts[j].hi; j++) {
            if (address >= module->texts[j].lo + ARCH_CALL_MAX && address < module->texts[j].hi)
                return module;
        }
    }
    return NULL;
}

extern void *__libc_stack_end;

/*
 * Up to where the stack can be read for sure, without asking: the page that FRAME is in, and more on the thread's own
 * stack. glibc puts the thread's block at the upper end of that, and none is smaller than LEAST with block and
 * thread-local variables; far below the block may be the stack of a coroutine. Nothing is mapped near below the first
 * thread's, which the kernel lets grow.
 */
static uintptr_t readable_end(uintptr_t frame)
{
    const uintptr_t least = 12 * 1024, first_max = 64 << 20;
    uintptr_t block = (uintptr_t)arch_tp(), first = (uintptr_t)__libc_stack_end;

    if (frame < block && block - frame < least)
        return block;
    if (frame < first && first - frame < first_max)
        return first;
    return (frame | (PAGE - 1)) + 1;
}

/* What the C++ library calls for somebody is that one's call: the first return address further up that is none of the
 * run time's. FRAME: of the hook. */
__attribute__((no_sanitize("address", "thread"))) static uintptr_t
caller(const struct waits_page *page, uintptr_t from, const uintptr_t *frame)
{
    const struct waits_module *module = module_at(page, from);
    uintptr_t words;

    if (!module || !module->is_runtime)
        return from;
    words = (readable_end((uintptr_t)frame) - (uintptr_t)frame) / sizeof *frame;
    for (unsigned i = 0; i < STACK_WORDS && i < words; i++) {
        module = module_at(page, frame[i]);
        if (module && !module->is_runtime && arch_is_behind_call((const unsigned char *)frame[i]))
            return frame[i];
    }
    return from;
}

/* ---- the table ---- */

/* NULL: there is no room, or it has been looked at enough. */
static struct waits_object *object_of(struct waits_page *page, const void *object)
{
    uint64_t key = (uintptr_t)object;
    unsigned place = (unsigned)(key * UINT64_C(0x9e3779b97f4a7c15) >> 56);

    for (unsigned i = 0; i < PROBES; i++) {
        struct waits_object *at = &page->objects[(place + i) % WAITS_OBJECTS];
        uint64_t there = atomic_load_explicit(&at->object, memory_order_relaxed);

        if (!there && atomic_compare_exchange_strong(&at->object, &there, key))
            return at;
        if (there == key)
            return at;
    }
    return NULL;
}

static void vote(uint64_t *place, uint32_t *votes, uint64_t from)
{
    if (*place == from) {
        ++*votes;
    } else if (!*votes) {
        *place = from;
        *votes = 1;
    } else {
        --*votes;
    }
}

static bool has_waited(const struct waits_object *at, uint32_t thread)
{
    uint32_t count = atomic_load_explicit(&at->threads_count, memory_order_relaxed);

    for (unsigned i = 0; i < count && i < WAITS_THREADS; i++) {
        if (at->threads[i] == thread)
            return true;
    }
    return false;
}

/* What is counted by two threads at once may be counted once: it is a sample. */
static __attribute__((noinline)) void note(struct waits_page *page, const void *object,
                                           bool is_wait, const void *from, const void *frame)
{
    struct waits_object *at = object_of(page, object);
    uint32_t thread = waits_thread(), count;

    if (!at || (is_wait ? at->waits : at->looks) >= SAMPLES_MAX)
        return;
    if (!is_wait) {
        at->looks++;
        if (has_waited(at, thread))
            return;
        at->wakes++;
        vote(&at->waker, &at->waker_votes, caller(page, (uintptr_t)from, frame));
        return;
    }
    at->waits++;
    vote(&at->waiter, &at->waiter_votes, caller(page, (uintptr_t)from, frame));
    at->has_main |= thread == page->main_thread;
    count = atomic_load_explicit(&at->threads_count, memory_order_relaxed);
    if (count < WAITS_THREADS && !has_waited(at, thread)) {
        at->threads[count] = thread;
        atomic_store_explicit(&at->threads_count, count + 1, memory_order_relaxed);
    }
}

#define NOTE(object, is_wait)                                                                    \
    do {                                                                                         \
        struct waits_page *page = atomic_load_explicit(&baton_waits_page, memory_order_relaxed); \
        if (page)                                                                                \
            note(page, object, is_wait,                                                          \
                 __builtin_extract_return_addr(__builtin_return_address(0)),                     \
                 __builtin_frame_address(0));                                                    \
    } while (0)

/* ---- the calls ---- */

#define CALLS(CALL)              \
    CALL(pthread_cond_signal)    \
    CALL(pthread_cond_broadcast) \
    CALL(pthread_cond_wait)      \
    CALL(pthread_cond_timedwait) \
    CALL(pthread_cond_clockwait) \
    CALL(cnd_signal)             \
    CALL(cnd_broadcast)          \
    CALL(cnd_wait)               \
    CALL(cnd_timedwait)          \
    CALL(sem_post)               \
    CALL(sem_wait)               \
    CALL(sem_timedwait)          \
    CALL(sem_clockwait)          \
    CALL(syscall)                \
    CALL(eventfd)                \
    CALL(eventfd_read)           \
    CALL(eventfd_write)          \
    CALL(read)                   \
    CALL(write)                  \
    CALL(close)                  \
    CALL(poll)                   \
    CALL(epoll_ctl)              \
    CALL(epoll_wait)

static struct {
#define CALL(name) __typeof__(&(name)) name;
    CALLS(CALL)
#undef CALL
} next;

/* By the loader's list, which asks nobody: a call may come before anything else of ours has run. Of
 * pthread_cond_wait and its like that is the newer version, which all programs of this processor use. */
__attribute__((constructor)) static void find_all(void)
{
#define CALL(name)  \
    if (!next.name) \
        next.name = (__typeof__(next.name))elf_linked_after(&baton_waits_page, #name);
    CALLS(CALL)
#undef CALL
}

#define NEXT(name)      \
    ({                  \
        if (!next.name) \
            find_all(); \
        next.name;      \
    })

EXPORTED int pthread_cond_signal(pthread_cond_t *cond)
{
    NOTE(cond, false);
    return NEXT(pthread_cond_signal)(cond);
}

EXPORTED int pthread_cond_broadcast(pthread_cond_t *cond)
{
    NOTE(cond, false);
    return NEXT(pthread_cond_broadcast)(cond);
}

EXPORTED int pthread_cond_wait(pthread_cond_t *cond, pthread_mutex_t *mutex)
{
    NOTE(cond, true);
    return NEXT(pthread_cond_wait)(cond, mutex);
}

EXPORTED int pthread_cond_timedwait(pthread_cond_t *cond, pthread_mutex_t *mutex,
                                    const struct timespec *until)
{
    NOTE(cond, true);
    return NEXT(pthread_cond_timedwait)(cond, mutex, until);
}

EXPORTED int pthread_cond_clockwait(pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
                                    const struct timespec *until)
{
    NOTE(cond, true);
    return NEXT(pthread_cond_clockwait)(cond, mutex, clock, until);
}

EXPORTED int cnd_signal(cnd_t *cond)
{
    NOTE(cond, false);
    return NEXT(cnd_signal)(cond);
}

EXPORTED int cnd_broadcast(cnd_t *cond)
{
    NOTE(cond, false);
    return NEXT(cnd_broadcast)(cond);
}

EXPORTED int cnd_wait(cnd_t *cond, mtx_t *mutex)
{
    NOTE(cond, true);
    return NEXT(cnd_wait)(cond, mutex);
}

EXPORTED int cnd_timedwait(cnd_t *cond, mtx_t *mutex, const struct timespec *until)
{
    NOTE(cond, true);
    return NEXT(cnd_timedwait)(cond, mutex, until);
}

EXPORTED int sem_post(sem_t *sem)
{
    NOTE(sem, false);
    return NEXT(sem_post)(sem);
}

EXPORTED int sem_wait(sem_t *sem)
{
    NOTE(sem, true);
    return NEXT(sem_wait)(sem);
}

EXPORTED int sem_timedwait(sem_t *sem, const struct timespec *until)
{
    NOTE(sem, true);
    return NEXT(sem_timedwait)(sem, until);
}

EXPORTED int sem_clockwait(sem_t *sem, clockid_t clock, const struct timespec *until)
{
    NOTE(sem, true);
    return NEXT(sem_clockwait)(sem, clock, until);
}

/* ---- futexes by their own system call ---- */

enum {
    CONTENDED = 2
}; /* what a lock has that others wait for, in every C library and run time: no pool's */

/*
 * Six arguments of its seven lie in registers, or all. The last stays where the caller has put it, because this ends
 * in a jump; to take it and pass it on would write to the stack of a caller that has given fewer.
 */
#if ARCH_REGISTER_ARGUMENTS < 7 && defined __OPTIMIZE__
typedef long all_arguments(long, long, long, long, long, long);
#define ALL_PARAMETERS long number, long a, long b, long c, long d, long e
#define ALL_ARGUMENTS number, a, b, c, d, e
#if !defined __clang__
__attribute__((optimize("optimize-sibling-calls")))
#endif
#else
typedef long all_arguments(long, long, long, long, long, long, long);
#define ALL_PARAMETERS long number, long a, long b, long c, long d, long e, long f
#define ALL_ARGUMENTS number, a, b, c, d, e, f
#endif
EXPORTED long waits_syscall(ALL_PARAMETERS) __asm__("syscall");

EXPORTED long waits_syscall(ALL_PARAMETERS)
{
    int what = (int)b & FUTEX_CMD_MASK;

    if (number == SYS_futex && (what == FUTEX_WAKE || what == FUTEX_WAKE_BITSET))
        NOTE((const void *)a, false);
    else if (number == SYS_futex && (what == FUTEX_WAIT || what == FUTEX_WAIT_BITSET) &&
             (int)c != CONTENDED)
        NOTE((const void *)a, true);
    return ((all_arguments *)NEXT(syscall))(ALL_ARGUMENTS);
}

/* ---- eventfds ---- */

enum { FDS = 4096 };

/* Of each descriptor 1 + that of the eventfd that it is, or, for one of epoll, that it looks at. The object. */
static _Atomic uint16_t eventfd_of[FDS];

static const void *object_at(int fd)
{
    return fd >= 0 && fd < FDS ? (const void *)(uintptr_t)atomic_load_explicit(&eventfd_of[fd],
                                                                               memory_order_relaxed)
                               : NULL;
}

static void set_object(int fd, unsigned object)
{
    if (fd >= 0 && fd < FDS)
        atomic_store_explicit(&eventfd_of[fd], (uint16_t)object, memory_order_relaxed);
}

#define NOTE_FD(fd, is_wait)                \
    do {                                    \
        const void *object = object_at(fd); \
        if (object)                         \
            NOTE(object, is_wait);          \
    } while (0)

EXPORTED int eventfd(unsigned count, int flags)
{
    int fd = NEXT(eventfd)(count, flags);

    set_object(fd, (unsigned)fd + 1);
    return fd;
}

EXPORTED int eventfd_read(int fd, eventfd_t *value)
{
    NOTE_FD(fd, true);
    return NEXT(eventfd_read)(fd, value);
}

EXPORTED int eventfd_write(int fd, eventfd_t value)
{
    NOTE_FD(fd, false);
    return NEXT(eventfd_write)(fd, value);
}

EXPORTED ssize_t read(int fd, void *into, size_t len)
{
    NOTE_FD(fd, true);
    return NEXT(read)(fd, into, len);
}

EXPORTED ssize_t write(int fd, const void *from, size_t len)
{
    NOTE_FD(fd, false);
    return NEXT(write)(fd, from, len);
}

EXPORTED int close(int fd)
{
    if (object_at(fd))
        set_object(fd, 0);
    return NEXT(close)(fd);
}

/* Of those on the caller's stack: elsewhere may be nothing, which the kernel says by an error. Who waits for an eventfd
 * will read it, too. */
static const void *object_of_poll(const struct pollfd *fds, nfds_t count, uintptr_t frame)
{
    uintptr_t from = (uintptr_t)fds, end = readable_end(frame);
    const void *object = NULL;

    count = count < 8 ? count : 8;
    if (from < frame || from > end || count * sizeof *fds > end - from)
        return NULL;
    for (nfds_t i = 0; i < count && !object; i++)
        object = object_at(fds[i].fd);
    return object;
}

/* Who looks at several is taken to wait for the first. */
EXPORTED int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    const void *object =
        timeout_ms ? object_of_poll(fds, count, (uintptr_t)__builtin_frame_address(0)) : NULL;

    if (object)
        NOTE(object, true);
    return NEXT(poll)(fds, count, timeout_ms);
}

EXPORTED int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    const void *object = what == EPOLL_CTL_ADD ? object_at(fd) : NULL;

    if (object && !object_at(epoll))
        set_object(epoll, (unsigned)(uintptr_t)object);
    return NEXT(epoll_ctl)(epoll, what, fd, event);
}

EXPORTED int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
    if (timeout_ms)
        NOTE_FD(epoll, true);
    return NEXT(epoll_wait)(epoll, events, most, timeout_ms);
}
