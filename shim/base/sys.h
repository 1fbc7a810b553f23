/* System calls for ourselves.
 *
 * open, read, write, mmap and syscall itself are interposed by sanitizers, by other preloads and by programs
 * that have functions of these names: through them our calls would run foreign code, at times before it is
 * ready. So the kernel is called here, by nobody's name. Each answers the result, or -errno; errno is not
 * touched, and nothing is cancelled here.
 */
#ifndef BATON_BASE_SYS_H
#define BATON_BASE_SYS_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/arch.h"

#ifdef SYS_KERNEL /* tests/fuzz/memory_file.c: files in memory */
long SYS_KERNEL(long number, long one, long two, long three, long four, long five, long six);
#define SYS_THREE(number, a, b, c) SYS_KERNEL(number, a, b, c, 0, 0, 0)
#define SYS_SIX SYS_KERNEL
#else
#define SYS_THREE arch_kernel
#define SYS_SIX arch_kernel_six
#endif

/* SYS_CALL(name, ...): one to six arguments, numbers (an int is widened as it is signed) or pointers. */
#define SYS_CALL(name, ...) \
    SYS_PICK(__VA_ARGS__, SYS_6, SYS_5, SYS_4, SYS_3, SYS_2, SYS_1)(SYS_##name, __VA_ARGS__)
#define SYS_PICK(a, b, c, d, e, f, picked, ...) picked
#define SYS_1(number, a) SYS_THREE(number, (long)(a), 0, 0)
#define SYS_2(number, a, b) SYS_THREE(number, (long)(a), (long)(b), 0)
#define SYS_3(number, a, b, c) SYS_THREE(number, (long)(a), (long)(b), (long)(c))
#define SYS_4(number, a, b, c, d) SYS_SIX(number, (long)(a), (long)(b), (long)(c), (long)(d), 0, 0)
#define SYS_5(number, a, b, c, d, e) \
    SYS_SIX(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), 0)
#define SYS_6(number, a, b, c, d, e, f) \
    SYS_SIX(number, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static inline int sys_getpid(void)
{
    return (int)SYS_CALL(getpid, 0);
}

static inline _Noreturn void sys_exit(int status)
{
    for (;;)
        (void)SYS_CALL(exit_group, status);
}

/* What the kernel calls a struct sigaction. A handler of ours takes ARCH_ACTION_FLAGS beside its own, and
 * ARCH_ACTION_RESTORER. */
struct sys_action {
    void (*handler)(int signal, siginfo_t *info, void *context);
    unsigned long flags;
    void (*restorer)(void);
    uint64_t mask;
};

static inline long sys_sigaction(int signal, const struct sys_action *action,
                                 struct sys_action *before)
{
    return SYS_CALL(rt_sigaction, signal, action, before, sizeof action->mask);
}

static inline int sys_open(const char *path, int flags, int mode)
{
    return (int)SYS_CALL(openat, AT_FDCWD, path, flags | O_CLOEXEC | O_NOCTTY, mode);
}

static inline void sys_close(int fd)
{
    (void)SYS_CALL(close, fd);
}

static inline long sys_read(int fd, void *into, size_t len)
{
    return SYS_CALL(read, fd, into, len);
}

static inline long sys_pread(int fd, void *into, size_t len, uint64_t at)
{
    return SYS_CALL(pread64, fd, into, len, at);
}

static inline long sys_write(int fd, const void *from, size_t len)
{
    return SYS_CALL(write, fd, from, len);
}

static inline long sys_readlink(const char *path, char *into, size_t len)
{
    return SYS_CALL(readlinkat, AT_FDCWD, path, into, len);
}

/* Is the C library's fstat the call fstat? Set where a filter was there before the program (base/sandbox.c). */
extern bool sys_status_is_fstat __attribute__((visibility("hidden")));

/* As fstat, by the call that the C library's is: a filter that lets a loader open its libraries lets it through. */
static inline long sys_status(int fd, struct stat *status)
{
    /* on 64-bit machines libc's structure is the kernel's */
    return __builtin_expect(sys_status_is_fstat, 0)
               ? SYS_CALL(fstat, fd, status)
               : SYS_CALL(newfstatat, fd, "", status, AT_EMPTY_PATH);
}

/* The length of a regular file; -EINVAL for any other. */
static inline long sys_file_size(int fd)
{
    struct stat st;
    long result = sys_status(fd, &st);

    if (result < 0)
        return result;
    return S_ISREG(st.st_mode) ? (long)st.st_size : -EINVAL;
}

/* How large a file this process may make (ulimit -f). Who makes one larger gets SIGXFSZ, which ends a program that itself
 * never wrote: ask first. */
static inline uint64_t sys_file_limit(void)
{
    struct rlimit limit; /* on 64-bit machines libc's is the kernel's */

    return SYS_CALL(prlimit64, 0, RLIMIT_FSIZE, NULL, &limit) < 0 ? UINT64_MAX : limit.rlim_cur;
}

/* Memory of LEN zeroed bytes, or with FD the start of a file to read; NULL when there is none. */
static inline void *sys_map(size_t len, int fd)
{
    long result = SYS_CALL(mmap, NULL, len, fd < 0 ? PROT_READ | PROT_WRITE : PROT_READ,
                           fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE, fd, 0L);

    return result < 0 && result > -4096 ? NULL : (void *)result;
}

static inline void sys_unmap(void *memory, size_t len)
{
    (void)SYS_CALL(munmap, memory, len);
}

/* Reads the byte there: 1, or -EFAULT, or another error where that is forbidden. */
static inline long sys_read_own(uintptr_t at)
{
    char byte;
    struct iovec into = {&byte, 1}, from = {(void *)at, 1};

    return SYS_CALL(process_vm_readv, sys_getpid(), &into, 1L, &from, 1L, 0L);
}

enum { SYS_NO_SUCH_CHANGE = 0x7fff };

/*
 * May LEN bytes at FROM be read? Asked of the kernel in the one way that no sandbox forbids: it fetches a signal
 * set before it looks at what is to be done with it, which is nothing that exists. No signal mask changes. Valgrind
 * would say something about that, and of blocks that are gone.
 */
static inline bool sys_is_readable(const void *from, size_t len)
{
    enum { LEAST_PAGE = 4096 };
    uintptr_t at = (uintptr_t)from & ~(uintptr_t)7, end = (uintptr_t)from + len;

    for (; at < end; at = (at | (LEAST_PAGE - 1)) + 1) {
        long result = arch_is_on_valgrind() ? sys_read_own(at) : -ENOSYS;

        if (result < 0 && result != -EFAULT)
            result = SYS_CALL(rt_sigprocmask, SYS_NO_SUCH_CHANGE, at, NULL, 8L);
        if (result == -EFAULT)
            return false;
    }
    return true;
}

#endif
