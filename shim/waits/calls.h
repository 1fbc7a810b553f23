/* What the files of libbaton-waits.so share: the calls that it stands before, and how each is noted and goes on. */
#ifndef BATON_WAITS_CALLS_H
#define BATON_WAITS_CALLS_H

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <threads.h>
#include <unistd.h>

#include "base/waits.h"

#define EXPORTED __attribute__((visibility("default")))

/* Set by libbaton.so, which finds it by name. */
extern EXPORTED struct waits_lent baton_waits_page;

/* FROM and FRAME: the return address and the frame of the function that the program called. */
void waits_note(struct waits_page *page, const void *object, bool is_wait, const void *from,
                const void *frame);
/* Up to where the stack above FRAME can be read for sure. */
uintptr_t waits_readable_end(uintptr_t frame);

#define NOTE(object, is_wait)                                                      \
    do {                                                                           \
        struct waits_page *page =                                                  \
            atomic_load_explicit(&baton_waits_page.page, memory_order_relaxed);    \
        if (page)                                                                  \
            waits_note(page, object, is_wait,                                      \
                       __builtin_extract_return_addr(__builtin_return_address(0)), \
                       __builtin_frame_address(0));                                \
    } while (0)

/* What fortified programs call in place of them, and what the headers of an older C library do not have. */
extern ssize_t __read_chk(int fd, void *into, size_t len, size_t room);
extern ssize_t __recv_chk(int fd, void *into, size_t len, size_t room, int flags);
extern int __poll_chk(struct pollfd *fds, nfds_t count, int timeout_ms, size_t room);
extern int __ppoll_chk(struct pollfd *fds, nfds_t count, const struct timespec *timeout,
                       const sigset_t *mask, size_t room);
extern int epoll_pwait2(int epoll, struct epoll_event *events, int most,
                        const struct timespec *timeout, const sigset_t *mask);

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
    CALL(pipe)                   \
    CALL(pipe2)                  \
    CALL(socketpair)             \
    CALL(read)                   \
    CALL(write)                  \
    CALL(__read_chk)             \
    CALL(readv)                  \
    CALL(writev)                 \
    CALL(recv)                   \
    CALL(__recv_chk)             \
    CALL(recvmsg)                \
    CALL(send)                   \
    CALL(sendmsg)                \
    CALL(close)                  \
    CALL(dup)                    \
    CALL(dup2)                   \
    CALL(dup3)                   \
    CALL(fcntl)                  \
    CALL(fcntl64)                \
    CALL(poll)                   \
    CALL(__poll_chk)             \
    CALL(ppoll)                  \
    CALL(__ppoll_chk)            \
    CALL(epoll_ctl)              \
    CALL(epoll_wait)             \
    CALL(epoll_pwait)            \
    CALL(epoll_pwait2)

struct waits_next {
#define CALL(name) __typeof__(&(name)) name;
    CALLS(CALL)
#undef CALL
};

/* The real functions. */
extern struct waits_next waits_next;
void waits_find_next(void);

#define NEXT(name)             \
    ({                         \
        if (!waits_next.name)  \
            waits_find_next(); \
        waits_next.name;       \
    })

#endif
