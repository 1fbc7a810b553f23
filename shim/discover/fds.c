/*
 * Eventfds and pipes, by which threads wake each other: what a descriptor is, its copies, and the calls that read and
 * write it. A thread that polls a descriptor reads it then, and is told by that.
 */
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "discover/hooks.h"

enum { FDS = 4096 };
#define IS_EVENTFD (1u << 31)

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
    return object & IS_EVENTFD ? BY_EVENTFD : BY_PIPE;
}

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
    uint32_t object = waker_of(fd);

    if (object)
        WAKE(by_of(object), object);
    return NEXT(write, NULL)(fd, from, len);
}

EXPORTED ssize_t read(int fd, void *into, size_t len)
{
    uint32_t object = waker_of(fd);

    if (!object)
        return NEXT(read, NULL)(fd, into, len);
    return WAITING(by_of(object), object, NEXT(read, NULL)(fd, into, len));
}

EXPORTED int eventfd_write(int fd, eventfd_t value)
{
    uint32_t object = waker_of(fd);

    if (object)
        WAKE(by_of(object), object);
    return NEXT(eventfd_write, NULL)(fd, value);
}

EXPORTED int eventfd_read(int fd, eventfd_t *value)
{
    uint32_t object = waker_of(fd);

    if (!object)
        return NEXT(eventfd_read, NULL)(fd, value);
    return WAITING(by_of(object), object, NEXT(eventfd_read, NULL)(fd, value));
}
