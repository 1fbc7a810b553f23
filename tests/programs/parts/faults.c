/*
 * Preloaded in front of libbaton.so: its system calls go through syscall(), and here each can be counted, fail, or
 * end the process as a sandbox would. Calls of anybody else are passed on.
 *     FAULTS_LOG=FILE   at the end: a line "ORDINAL NUMBER PHASE" for every call (start, run: after our constructor)
 *     FAULTS_AT=N       the Nth call answers FAULTS_ERRNO=E; E 0: the process is killed
 *     FAULTS_NUMBER=S   only calls of number S count for FAULTS_AT
 *     FAULTS_ALLOW=S,S  from our constructor on, which is later than the library's, the kernel ends the process at a call
 *                       that is none of these
 * A call that nobody else makes, of close(-4242), says in a trace where our constructor has run.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { LOG_MAX = 1 << 16, ALLOWED_MAX = 200, MARK = -4242 };

static uintptr_t low, high;
static atomic_int is_read, calls, counted, has_begun;
static int at, error, number = -1, log_fd = -1, process;

static long raw(long call, const long *word)
{
#ifdef __x86_64__
    register long r10 __asm__("r10") = word[3], r8 __asm__("r8") = word[4],
                      r9 __asm__("r9") = word[5];
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(call), "D"(word[0]), "S"(word[1]), "d"(word[2]), "r"(r10), "r"(r8),
                       "r"(r9)
                     : "rcx", "r11", "memory");
#else
    register long x8 __asm__("x8") = call, result __asm__("x0") = word[0],
                     x1 __asm__("x1") = word[1], x2 __asm__("x2") = word[2],
                     x3 __asm__("x3") = word[3], x4 __asm__("x4") = word[4],
                     x5 __asm__("x5") = word[5];

    __asm__ volatile("svc 0"
                     : "+r"(result)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
#endif
    return result;
}

static long make(long call, long a, long b, long c)
{
    long word[6] = {a, b, c};

    return raw(call, word);
}

static int find(struct dl_phdr_info *info, size_t size, void *arg)
{
    const char *name = strrchr(info->dlpi_name, '/');

    if (!name || strcmp(name, "/libbaton.so"))
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        uintptr_t start = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr;

        if (info->dlpi_phdr[i].p_type == PT_LOAD) {
            low = low && low < start ? low : start;
            high = high > start + info->dlpi_phdr[i].p_memsz ? high
                                                             : start + info->dlpi_phdr[i].p_memsz;
        }
    }
    return 1;
}

static int setting(const char *name, int otherwise)
{
    const char *text = getenv(name);

    return text ? atoi(text) : otherwise;
}

static void begin(void)
{
    const char *file = getenv("FAULTS_LOG");

    if (atomic_exchange(&is_read, 1))
        return;
    dl_iterate_phdr(find, NULL);
    at = setting("FAULTS_AT", 0);
    error = setting("FAULTS_ERRNO", EPERM);
    number = setting("FAULTS_NUMBER", -1);
    process = (int)make(SYS_getpid, 0, 0, 0);
    if (file)
        log_fd =
            (int)make(SYS_openat, AT_FDCWD, (long)file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC);
    if (log_fd >= 0) {
        int moved = (int)make(SYS_fcntl, log_fd, F_DUPFD_CLOEXEC, 700);

        make(SYS_close, log_fd, 0, 0);
        log_fd = moved;
    }
}

/* A sandbox: each number allowed is two instructions, and what is none of them is the end. */
static void allow_only(const char *numbers)
{
    static struct sock_filter filter[2 * ALLOWED_MAX + 2] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))};
    struct sock_fprog program = {.len = 1, .filter = filter};
    char *end;

    for (; *numbers; numbers = *end == ',' ? end + 1 : end) {
        long allowed = strtol(numbers, &end, 10);

        if (end == numbers || program.len >= 2 * ALLOWED_MAX)
            abort();
        filter[program.len++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)allowed, 0, 1);
        filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
        perror("faults: no sandbox");
}

__attribute__((constructor)) static void construct(void)
{
    const char *allowed = getenv("FAULTS_ALLOW");

    begin();
    atomic_store(&has_begun, 1);
    make(SYS_close, MARK, 0, 0);
    if (allowed)
        allow_only(allowed);
}

static size_t put(char *to, long value)
{
    char digits[24];
    size_t len = 0, used = 0;

    do
        digits[len++] = (char)('0' + value % 10);
    while (value /= 10);
    while (len)
        to[used++] = digits[--len];
    to[used++] = ' ';
    return used;
}

static void note(long call)
{
    char line[64];
    size_t used = put(line, atomic_fetch_add(&calls, 1) + 1);

    used += put(line + used, call);
    memcpy(line + used, atomic_load(&has_begun) ? "run\n" : "start\n", 6);
    make(SYS_write, log_fd, (long)line, (long)used + (atomic_load(&has_begun) ? 4 : 6));
}

long syscall(long call, ...)
{
    uintptr_t from = (uintptr_t)__builtin_return_address(0);
    long word[6], result;
    va_list args;

    va_start(args, call);
    for (int i = 0; i < 6; i++)
        word[i] = va_arg(args, long);
    va_end(args);
    if (!atomic_load(&is_read))
        begin();
    if (from >= low && from < high) {
        if (log_fd >= 0)
            note(call);
        if (at && (number < 0 || number == call) && atomic_fetch_add(&counted, 1) + 1 == at) {
            if (!error)
                make(SYS_kill, make(SYS_getpid, 0, 0, 0), 9, 0);
            errno = error;
            return -1;
        }
    }
    result = raw(call, word);
    if (result < 0 && result > -4096) {
        errno = (int)-result;
        return -1;
    }
    return result;
}
