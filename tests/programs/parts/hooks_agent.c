/*
 * A tracing agent as others preload it: it notes which request the thread works for, and what worker
 * threads do. It has not heard of baton.
 *   nginx   the request is the number in GET /NUMBER; a line for every file that is read
 *   ld.lld  the main thread works for 7; the memory that worker threads ask for is counted
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t size);

__thread long agent_request;
static long worker_mallocs[2];

__attribute__((constructor)) static void start(void)
{
    agent_request = 7;
}

ssize_t recv(int fd, void *buffer, size_t size, int flags)
{
    ssize_t got = syscall(SYS_recvfrom, fd, buffer, size, flags, NULL, NULL);
    if (got > 5 && !memcmp(buffer, "GET /", 5))
        agent_request = strtol((char *)buffer + 5, NULL, 10);
    return got;
}

static void note(const char *text, int len)
{
    const char *path = getenv("AGENT_LOG");
    int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0600) : -1;
    if (fd >= 0) {
        if (write(fd, text, (size_t)len) != len)
            abort();
        close(fd);
    }
}

ssize_t pread64(int fd, void *buffer, size_t size, off_t at)
{
    char link[64], target[400], line[500];
    ssize_t len;
    if (getpid() != gettid()) {
        snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
        len = readlink(link, target, sizeof(target) - 1);
        target[len > 0 ? len : 0] = '\0';
        note(line, snprintf(line, sizeof(line), "%s %ld\n", target, agent_request));
    }
    return syscall(SYS_pread64, fd, buffer, size, at);
}

void *malloc(size_t size)
{
    if (getpid() != gettid())
        __atomic_add_fetch(&worker_mallocs[agent_request == 7], 1, __ATOMIC_RELAXED);
    return __libc_malloc(size);
}

__attribute__((destructor)) static void end(void)
{
    char line[100];
    note(line, snprintf(line, sizeof(line), "without %ld with %ld\n", worker_mallocs[0], worker_mallocs[1]));
}
