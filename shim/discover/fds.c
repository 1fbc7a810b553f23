/*
 * Eventfds, pipes and pairs of sockets, by which threads wake each other: what a descriptor is, its copies, and the calls that read and
 * write it. A thread that polls a descriptor reads it then, and is told by that.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "discover/hooks.h"

enum { FDS = 4096 };
#define IS_EVENTFD (1u << 31)
#define IS_SOCKET (1u << 30) /* which is read; writing to it wakes who reads the other */
#define IS_SECOND (1u << 29)

/* What a descriptor is: 0: nothing that wakes anybody; else a number that the two ends have in common. */
static uint32_t wakers[FDS], wakers_made;

static void note_descriptor(int fd, uint32_t object)
{
    if (fd >= 0 && fd < FDS)
        __atomic_store_n(&wakers[fd], object, __ATOMIC_RELAXED);
}

static uint32_t waker_of(int fd)
{
    return fd >= 0 && fd < FDS && page ? __atomic_load_n(&wakers[fd], __ATOMIC_RELAXED) : 0;
}

static unsigned by_of(uint32_t object)
{
    return object & IS_EVENTFD ? BY_EVENTFD : object & IS_SOCKET ? BY_SOCKET : BY_PIPE;
}

static uint32_t woken_by(uint32_t object)
{
    return object & IS_SOCKET ? object ^ IS_SECOND : object;
}

#define WAKE_BY(fd)                                \
    do {                                           \
        uint32_t object = waker_of(fd);            \
        if (object)                                \
            WAKE(by_of(object), woken_by(object)); \
    } while (0)
/* CALL, which waits for FD, if it does so by any of these. */
#define WAITING_FOR(fd, call)                                   \
    ({                                                          \
        uint32_t object = waker_of(fd);                         \
        object ? WAITING(by_of(object), object, call) : (call); \
    })

EXPORTED int eventfd(unsigned count, int flags)
{
    int fd = NEXT(eventfd, NULL)(count, flags);

    note_descriptor(fd, (__atomic_fetch_add(&wakers_made, 1, __ATOMIC_RELAXED) + 1) | IS_EVENTFD);
    return fd;
}

static void note_pipe(const int *ends)
{
    uint32_t object = __atomic_fetch_add(&wakers_made, 1, __ATOMIC_RELAXED) + 1;

    note_descriptor(ends[0], object);
    note_descriptor(ends[1], object);
}

EXPORTED int pipe(int ends[2])
{
    int result = NEXT(pipe, NULL)(ends);

    if (result == 0)
        note_pipe(ends);
    return result;
}

EXPORTED int pipe2(int ends[2], int flags)
{
    int result = NEXT(pipe2, NULL)(ends, flags);

    if (result == 0)
        note_pipe(ends);
    return result;
}

EXPORTED int socketpair(int domain, int type, int protocol, int ends[2])
{
    int result = NEXT(socketpair, NULL)(domain, type, protocol, ends);
    uint32_t object = __atomic_fetch_add(&wakers_made, 1, __ATOMIC_RELAXED) + 1;

    if (result == 0) {
        note_descriptor(ends[0], object | IS_SOCKET);
        note_descriptor(ends[1], object | IS_SOCKET | IS_SECOND);
    }
    return result;
}

EXPORTED int close(int fd)
{
    note_descriptor(fd, 0);
    return NEXT(close, NULL)(fd);
}

static int copied(int fd, int copy)
{
    if (copy >= 0 && copy != fd)
        note_descriptor(copy, waker_of(fd));
    return copy;
}

EXPORTED int dup(int fd)
{
    return copied(fd, NEXT(dup, NULL)(fd));
}

EXPORTED int dup2(int fd, int to)
{
    return copied(fd, NEXT(dup2, NULL)(fd, to));
}

EXPORTED int dup3(int fd, int to, int flags)
{
    return copied(fd, NEXT(dup3, NULL)(fd, to, flags));
}

/* The third argument lies in a register, whether or not the caller has given it. */
typedef int fcntl_arguments(int, int, long);
EXPORTED fcntl_arguments discover_fcntl __asm__("fcntl"), discover_fcntl64 __asm__("fcntl64");

static int copied_by_fcntl(fcntl_arguments *next, int fd, int what, long argument)
{
    int result = next(fd, what, argument);

    return what == F_DUPFD || what == F_DUPFD_CLOEXEC ? copied(fd, result) : result;
}

EXPORTED int discover_fcntl(int fd, int what, long argument)
{
    return copied_by_fcntl((fcntl_arguments *)NEXT(fcntl, NULL), fd, what, argument);
}

EXPORTED int discover_fcntl64(int fd, int what, long argument)
{
    return copied_by_fcntl((fcntl_arguments *)NEXT(fcntl64, NULL), fd, what, argument);
}

EXPORTED ssize_t write(int fd, const void *from, size_t len)
{
    WAKE_BY(fd);
    return NEXT(write, NULL)(fd, from, len);
}

EXPORTED ssize_t writev(int fd, const struct iovec *parts, int count)
{
    WAKE_BY(fd);
    return NEXT(writev, NULL)(fd, parts, count);
}

EXPORTED ssize_t send(int fd, const void *from, size_t len, int flags)
{
    WAKE_BY(fd);
    return NEXT(send, NULL)(fd, from, len, flags);
}

EXPORTED ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    WAKE_BY(fd);
    return NEXT(sendmsg, NULL)(fd, message, flags);
}

EXPORTED int eventfd_write(int fd, eventfd_t value)
{
    WAKE_BY(fd);
    return NEXT(eventfd_write, NULL)(fd, value);
}

/* What fortified programs call in place of them. */
extern ssize_t __read_chk(int fd, void *into, size_t len, size_t room);
extern ssize_t __recv_chk(int fd, void *into, size_t len, size_t room, int flags);

EXPORTED ssize_t read(int fd, void *into, size_t len)
{
    return WAITING_FOR(fd, NEXT(read, NULL)(fd, into, len));
}

EXPORTED ssize_t __read_chk(int fd, void *into, size_t len, size_t room)
{
    return WAITING_FOR(fd, NEXT(__read_chk, NULL)(fd, into, len, room));
}

EXPORTED ssize_t readv(int fd, const struct iovec *parts, int count)
{
    return WAITING_FOR(fd, NEXT(readv, NULL)(fd, parts, count));
}

EXPORTED ssize_t recv(int fd, void *into, size_t len, int flags)
{
    return WAITING_FOR(fd, NEXT(recv, NULL)(fd, into, len, flags));
}

EXPORTED ssize_t __recv_chk(int fd, void *into, size_t len, size_t room, int flags)
{
    return WAITING_FOR(fd, NEXT(__recv_chk, NULL)(fd, into, len, room, flags));
}

EXPORTED ssize_t recvmsg(int fd, struct msghdr *message, int flags)
{
    return WAITING_FOR(fd, NEXT(recvmsg, NULL)(fd, message, flags));
}

EXPORTED int eventfd_read(int fd, eventfd_t *value)
{
    return WAITING_FOR(fd, NEXT(eventfd_read, NULL)(fd, value));
}
