// A pool of the program's own whose worker waits by a futex, or by an eventfd, or a copy of one, that it reads, polls or has epoll look at,
// or by a pipe or a pair of sockets.
// usage: waits_futex futex|read|poll|ppoll|epoll|epoll_pwait|epoll_pwait2|dup|dup2|dup3|fcntl|pipe|pipe2|readv|recv|recvmsg; or nowhere: polls what is at an address
// where nothing is
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#if !__GLIBC_PREREQ(2, 35) /* which has none */
#define epoll_pwait2 epoll_pwait_for
static int epoll_pwait_for(int of, struct epoll_event *told, int most, const struct timespec *timeout, const sigset_t *mask)
{
    return epoll_pwait(of, told, most, timeout ? (int)(timeout->tv_sec * 1000) : -1, mask);
}
#endif

enum { TASKS = 30, END = -1 };

static pthread_key_t request_key;
static _Atomic int given, taken; /* a task's number */
static _Atomic int bell = 1000;  /* rung where somebody waits */
static int event, read_from, epoll, answer; /* event: what is written to */
static const char *mode;
static int wrong;

/* A function of its own: who polls is not who reads. */
__attribute__((noinline)) static void take_count(void)
{
    uint64_t count;

    wrong += read(read_from, &count, sizeof count) != sizeof count;
}

__attribute__((noinline)) static void await_task(void)
{
    uint64_t count;
    struct pollfd fd = {.fd = event, .events = POLLIN};
    struct epoll_event told;

    if (!strcmp(mode, "futex")) {
        for (;;) {
            int seen = bell;

            if (given != taken)
                return;
            syscall(SYS_futex, &bell, FUTEX_WAIT_PRIVATE, seen, NULL);
        }
    }
    if (!strcmp(mode, "poll"))
        poll(&fd, 1, -1);
    else if (!strcmp(mode, "ppoll"))
        ppoll(&fd, 1, NULL, NULL);
    else if (!strcmp(mode, "epoll"))
        epoll_wait(epoll, &told, 1, -1);
    else if (!strcmp(mode, "epoll_pwait"))
        epoll_pwait(epoll, &told, 1, -1, NULL);
    else if (!strcmp(mode, "epoll_pwait2"))
        epoll_pwait2(epoll, &told, 1, NULL, NULL);
    else if (!strcmp(mode, "readv"))
        wrong += readv(read_from, &(struct iovec){&count, sizeof count}, 1) != sizeof count;
    else if (!strcmp(mode, "recv"))
        wrong += recv(read_from, &count, sizeof count, 0) != sizeof count;
    else if (!strcmp(mode, "recvmsg"))
        wrong += recvmsg(read_from, &(struct msghdr){.msg_iov = &(struct iovec){&count, sizeof count}, .msg_iovlen = 1}, 0) !=
                 sizeof count;
    else
        wrong += read(read_from, &count, sizeof count) != sizeof count;
    if (strstr(mode, "poll"))
        take_count();
}

__attribute__((noinline)) static void hand_over(int task)
{
    uint64_t one = 1;

    if (!strcmp(mode, "futex")) {
        /* Woken once while it waits for sure, then told. All arguments are given: the last says which bits wake. */
        while (syscall(SYS_futex, &bell, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL,
                       FUTEX_BITSET_MATCH_ANY) != 1)
            sched_yield();
        given = task;
        bell++;
        syscall(SYS_futex, &bell, FUTEX_WAKE_BITSET_PRIVATE, 1, NULL, NULL, FUTEX_BITSET_MATCH_ANY);
        return;
    }
    given = task;
    if (!strcmp(mode, "readv"))
        wrong += writev(event, &(struct iovec){&one, sizeof one}, 1) != sizeof one;
    else if (!strcmp(mode, "recv"))
        wrong += send(event, &one, sizeof one, 0) != sizeof one;
    else if (!strcmp(mode, "recvmsg"))
        wrong += sendmsg(event, &(struct msghdr){.msg_iov = &(struct iovec){&one, sizeof one}, .msg_iovlen = 1}, 0) != sizeof one;
    else
        wrong += write(event, &one, sizeof one) != sizeof one;
}

static void *worker(void *unused)
{
    char c = 0;

    for (;;) {
        await_task();
        if (given == END)
            return unused;
        taken = given;
        wrong += pthread_getspecific(request_key) != (void *)(intptr_t)given;
        if (write(answer, &c, 1) != 1)
            return NULL;
    }
}

int main(int argc, char **argv)
{
    pthread_t thread;
    int ends[2], is_socket;
    char c;

    mode = argc > 1 ? argv[1] : "futex";
    if (!strcmp(mode, "nowhere")) {
        struct pollfd *volatile nowhere = (struct pollfd *)8;

        printf("poll %d\n", poll(nowhere, 1, 1));
        return errno != EFAULT;
    }
    is_socket = !strncmp(mode, "recv", 4);
    pthread_key_create(&request_key, NULL);
    event = read_from = eventfd(0, 0);
    if (!strcmp(mode, "dup"))
        read_from = dup(event);
    else if (!strcmp(mode, "dup2"))
        read_from = dup2(event, 100);
    else if (!strcmp(mode, "dup3"))
        read_from = dup3(event, 100, O_CLOEXEC);
    else if (!strcmp(mode, "fcntl"))
        read_from = fcntl(event, F_DUPFD_CLOEXEC, 100);
    else if (!strncmp(mode, "pipe", 4) || !strcmp(mode, "readv") || is_socket) {
        if (is_socket                ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends)
            : !strcmp(mode, "pipe2") ? pipe2(ends, 0)
                                     : pipe(ends))
            return 2;
        read_from = ends[0];
        event = ends[1];
    }
    epoll = epoll_create1(0);
    epoll_ctl(epoll, EPOLL_CTL_ADD, event, &(struct epoll_event){.events = EPOLLIN});
    if (pipe(ends) != 0)
        return 2;
    answer = ends[1];
    taken = given = 10000;
    pthread_create(&thread, NULL, worker, NULL);
    for (int task = 10001; task <= 10000 + TASKS; task++) {
        pthread_setspecific(request_key, (void *)(intptr_t)task);
        hand_over(task);
        if (read(ends[0], &c, 1) != 1)
            return 2;
    }
    hand_over(END);
    pthread_join(thread, NULL);
    printf("wrong %d\n", wrong);
    return 0;
}
