/*
 * Eventfds, pipes and pairs of sockets: which descriptors are one, or epoll's that look at one, and the calls that wait for
 * and write to them.
 *
 * Rules: whatever may wait ends in a jump to the real function; nothing is read at an address that the program gave
 * unless it is sure to be there. Who polls, or has epoll look, waits; more than one descriptor counts as the first.
 */
#include <string.h>
#include <sys/syscall.h>
#include <time.h>

#include "base/arch.h"
#include "waits/calls.h"

enum { FDS = 4096 };

/* Of each descriptor the object that reading it waits for: of an eventfd, or an end that is read, that was made as N,
 * 1 + N; of its copies, and of an epoll that looks at it, the same. And the one that writing to it wakes. */
static _Atomic uint16_t fd_object[FDS], fd_wakes[FDS];
static _Atomic bool has_copies;

static const void *object_in(const _Atomic uint16_t *objects, int fd)
{
    return fd >= 0 && fd < FDS
               ? (const void *)(uintptr_t)atomic_load_explicit(&objects[fd], memory_order_relaxed)
               : NULL;
}

static const void *object_at(int fd)
{
    return object_in(fd_object, fd);
}

static void set_object(int fd, unsigned object, unsigned wakes)
{
    if (fd < 0 || fd >= FDS)
        return;
    atomic_store_explicit(&fd_object[fd], (uint16_t)object, memory_order_relaxed);
    atomic_store_explicit(&fd_wakes[fd], (uint16_t)wakes, memory_order_relaxed);
}

#define NOTE_IN(objects, fd, is_wait)                \
    do {                                             \
        const void *object = object_in(objects, fd); \
        if (object)                                  \
            NOTE(object, is_wait);                   \
    } while (0)
#define NOTE_FD(fd, is_wait) NOTE_IN((is_wait) ? fd_object : fd_wakes, fd, is_wait)

/* Where a copy has outlived the first of its number, the object gets a name beyond all numbers. */
static unsigned new_object(int fd)
{
    unsigned object = (unsigned)fd + 1;

    for (int i = 0; atomic_load_explicit(&has_copies, memory_order_relaxed) && i < FDS; i++) {
        if (i != fd && atomic_load_explicit(&fd_object[i], memory_order_relaxed) == object)
            return FDS + object;
    }
    return object;
}

EXPORTED int eventfd(unsigned count, int flags)
{
    int fd = NEXT(eventfd)(count, flags);
    unsigned object = fd >= 0 ? new_object(fd) : 0;

    set_object(fd, object, object);
    return fd;
}

static int is_pipe(int result, const int *ends)
{
    unsigned object = result == 0 ? new_object(ends[0]) : 0;

    if (object) {
        set_object(ends[0], object, 0);
        set_object(ends[1], 0, object);
    }
    return result;
}

EXPORTED int pipe(int ends[2])
{
    return is_pipe(NEXT(pipe)(ends), ends);
}

EXPORTED int pipe2(int ends[2], int flags)
{
    return is_pipe(NEXT(pipe2)(ends, flags), ends);
}

EXPORTED int socketpair(int domain, int type, int protocol, int ends[2])
{
    int result = NEXT(socketpair)(domain, type, protocol, ends);

    if (result == 0) {
        unsigned one = new_object(ends[0]), other = new_object(ends[1]);

        set_object(ends[0], one, other);
        set_object(ends[1], other, one);
    }
    return result;
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

EXPORTED ssize_t __read_chk(int fd, void *into, size_t len, size_t room)
{
    NOTE_FD(fd, true);
    return NEXT(__read_chk)(fd, into, len, room);
}

EXPORTED ssize_t write(int fd, const void *from, size_t len)
{
    NOTE_FD(fd, false);
    return NEXT(write)(fd, from, len);
}

EXPORTED ssize_t readv(int fd, const struct iovec *parts, int count)
{
    NOTE_FD(fd, true);
    return NEXT(readv)(fd, parts, count);
}

EXPORTED ssize_t writev(int fd, const struct iovec *parts, int count)
{
    NOTE_FD(fd, false);
    return NEXT(writev)(fd, parts, count);
}

EXPORTED ssize_t recv(int fd, void *into, size_t len, int flags)
{
    if (!(flags & MSG_DONTWAIT))
        NOTE_FD(fd, true);
    return NEXT(recv)(fd, into, len, flags);
}

EXPORTED ssize_t __recv_chk(int fd, void *into, size_t len, size_t room, int flags)
{
    if (!(flags & MSG_DONTWAIT))
        NOTE_FD(fd, true);
    return NEXT(__recv_chk)(fd, into, len, room, flags);
}

EXPORTED ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    if (!(flags & MSG_DONTWAIT))
        NOTE_FD(fd, true);
    return NEXT(recvmsg)(fd, message, flags);
}

EXPORTED ssize_t send(int fd, const void *from, size_t len, int flags)
{
    NOTE_FD(fd, false);
    return NEXT(send)(fd, from, len, flags);
}

EXPORTED ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    NOTE_FD(fd, false);
    return NEXT(sendmsg)(fd, message, flags);
}

EXPORTED int close(int fd)
{
    if (object_at(fd) || object_in(fd_wakes, fd))
        set_object(fd, 0, 0);
    return NEXT(close)(fd);
}

/* ---- copies ---- */

/* An epoll's looking at one that is closed goes on where a copy of that is open. */
static int copied(int fd, int copy)
{
    const void *object = object_at(fd), *wakes = object_in(fd_wakes, fd);

    if (copy >= 0 && copy != fd &&
        (object || wakes || object_at(copy) || object_in(fd_wakes, copy))) {
        set_object(copy, (unsigned)(uintptr_t)object, (unsigned)(uintptr_t)wakes);
        atomic_store_explicit(&has_copies, true, memory_order_relaxed);
    }
    return copy;
}

EXPORTED int dup(int fd)
{
    return copied(fd, NEXT(dup)(fd));
}

EXPORTED int dup2(int fd, int to)
{
    return copied(fd, NEXT(dup2)(fd, to));
}

EXPORTED int dup3(int fd, int to, int flags)
{
    return copied(fd, NEXT(dup3)(fd, to, flags));
}

/* The third argument lies in a register, whether or not the caller has given it. F_SETLKW waits. */
typedef int fcntl_arguments(int, int, long);
EXPORTED fcntl_arguments waits_fcntl __asm__("fcntl"), waits_fcntl64 __asm__("fcntl64");

EXPORTED int waits_fcntl(int fd, int what, long argument)
{
    if (what == F_DUPFD || what == F_DUPFD_CLOEXEC)
        return copied(fd, ((fcntl_arguments *)NEXT(fcntl))(fd, what, argument));
    return ((fcntl_arguments *)NEXT(fcntl))(fd, what, argument);
}

EXPORTED int waits_fcntl64(int fd, int what, long argument)
{
    if (what == F_DUPFD || what == F_DUPFD_CLOEXEC)
        return copied(fd, ((fcntl_arguments *)NEXT(fcntl64))(fd, what, argument));
    return ((fcntl_arguments *)NEXT(fcntl64))(fd, what, argument);
}

/* ---- who polls ---- */

/* Elsewhere than on the caller's stack may be nothing, which the kernel says by an error. */
static bool is_on_stack(const void *at, size_t size, uintptr_t frame)
{
    uintptr_t from = (uintptr_t)at, end = waits_readable_end(frame);

    return from >= frame && from <= end && size <= end - from;
}

static const void *object_of_poll(struct pollfd *fds, nfds_t count, uintptr_t frame)
{
    const void *object = NULL;

    count = count < 8 ? count : 8;
    if (!is_on_stack(fds, count * sizeof *fds, frame))
        return NULL;
    for (nfds_t i = 0; i < count && !object; i++)
        object = object_at(fds[i].fd);
    return object;
}

/* One of no time only looks. One that cannot be read is taken to wait. */
static bool waits_for(const struct timespec *timeout, uintptr_t frame)
{
    return !timeout || !is_on_stack(timeout, sizeof *timeout, frame) || timeout->tv_sec ||
           timeout->tv_nsec;
}

#define FRAME ((uintptr_t)__builtin_frame_address(0))
#define NOTE_POLL(fds, count, is_wait)                                           \
    do {                                                                         \
        const void *object = is_wait ? object_of_poll(fds, count, FRAME) : NULL; \
        if (object)                                                              \
            NOTE(object, true);                                                  \
    } while (0)

EXPORTED int poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
    NOTE_POLL(fds, count, timeout_ms);
    return NEXT(poll)(fds, count, timeout_ms);
}

EXPORTED int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t room)
{
    NOTE_POLL(fds, count, timeout_ms);
    return NEXT(__poll_chk)(fds, count, timeout_ms, room);
}

EXPORTED int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                   const sigset_t *mask)
{
    NOTE_POLL(fds, count, waits_for(timeout, FRAME));
    return NEXT(ppoll)(fds, count, timeout, mask);
}

EXPORTED int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                         const sigset_t *mask, size_t room)
{
    NOTE_POLL(fds, count, waits_for(timeout, FRAME));
    return NEXT(__ppoll_chk)(fds, count, timeout, mask, room);
}

EXPORTED int epoll_ctl(int epoll, int what, int fd, struct epoll_event *event)
{
    const void *object = what == EPOLL_CTL_ADD ? object_at(fd) : NULL;

    if (object && !object_at(epoll))
        set_object(epoll, (unsigned)(uintptr_t)object, 0);
    return NEXT(epoll_ctl)(epoll, what, fd, event);
}

EXPORTED int epoll_wait(int epoll, struct epoll_event *events, int most, int timeout_ms)
{
    if (timeout_ms)
        NOTE_FD(epoll, true);
    return NEXT(epoll_wait)(epoll, events, most, timeout_ms);
}

EXPORTED int epoll_pwait(int epoll, struct epoll_event *events, int most, int timeout_ms,
                         const sigset_t *mask)
{
    if (timeout_ms)
        NOTE_FD(epoll, true);
    return NEXT(epoll_pwait)(epoll, events, most, timeout_ms, mask);
}

/* A C library of before 2.35 has none; a program that asks for it and gets ours asks the system. */
EXPORTED int epoll_pwait2(int epoll, struct epoll_event *events, int most,
                          const struct timespec *timeout, const sigset_t *mask)
{
    enum {
        SIGNALS = 8,
        PWAIT2 = 441
    }; /* bytes of the kernel's sets; its number on every machine */

    if (waits_for(timeout, FRAME))
        NOTE_FD(epoll, true);
    if (!NEXT(epoll_pwait2))
        return (int)NEXT(syscall)(PWAIT2, epoll, events, most, timeout, mask, SIGNALS);
    return NEXT(epoll_pwait2)(epoll, events, most, timeout, mask);
}
