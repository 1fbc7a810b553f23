/*
 * calls_of PROGRAM ARGUMENTS...: runs the program under ptrace and tells its system calls whose instruction lies in
 * libbaton.so, from the loader's first call on; each can be made to fail. Calls of anybody else go on as ever.
 *     CALLS_LOG=FILE        a line "ORDINAL NUMBER PHASE OFFSET" for every call of ours: start (before the program's entry),
 *                           run; where in the library. A line of others' begins with -, has the object's name at its end.
 *     CALLS_AT=N            the Nth call answers CALLS_ERRNO=E and is not made
 *     CALLS_NUMBER=S        only calls of number S count for CALLS_AT
 *     CALLS_PRELOAD=LIST    LD_PRELOAD of the program
 *     CALLS_ALLOW=S,S       no ptrace: a filter that ends the process at a call that is none of these is there before the
 *                           program's start; execve is allowed
 * Status: the program's. 125: it could not be traced.
 */
#define _GNU_SOURCE
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum { THREADS = 1 << 15, ALLOWED_MAX = 200 };
#define GET_SYSCALL_INFO ((enum __ptrace_request)0x420e) /* in headers since glibc 2.31 */
#define EVENT_STOP 128                                   /* the headers disagree where it is */

#ifdef __x86_64__
static const uint8_t stop_here[] = {0xcc};
enum { STOPS_BEHIND = 1 };
#define IP(registers) (registers).rip
#else
static const uint8_t stop_here[] = {0, 0, 0x20, 0xd4};
enum { STOPS_BEHIND = 0 };
#define IP(registers) (registers).pc
#endif

static struct thread {
    pid_t tid;
    bool is_starting, fails;
    uintptr_t low, high, entry; /* of the library; where a breakpoint is */
    uint8_t was[sizeof stop_here];
} threads[THREADS];
static int at, error, number, calls, counted;
static FILE *list;

static int setting(const char *name, int otherwise)
{
    const char *text = getenv(name);

    return text ? atoi(text) : otherwise;
}

static struct thread *of(pid_t tid)
{
    for (unsigned i = (unsigned)tid % THREADS;; i = (i + 1) % THREADS) {
        if (!threads[i].tid)
            threads[i].tid = tid;
        if (threads[i].tid == tid)
            return &threads[i];
    }
}

static void registers_of(pid_t tid, struct user_regs_struct *into, bool is_set)
{
    struct iovec io = {into, sizeof *into};

    ptrace(is_set ? PTRACE_SETREGSET : PTRACE_GETREGSET, tid, NT_PRSTATUS, &io);
}

/* The library's place; with ADDRESS, the name of what lies there. */
static void look(struct thread *thread, uintptr_t address, char name[64])
{
    char path[64], line[512];
    FILE *maps;

    snprintf(path, sizeof path, "/proc/%d/maps", thread->tid);
    maps = fopen(path, "re");
    strcpy(name, "?");
    while (maps && fgets(line, sizeof line, maps)) {
        uintptr_t low = 0, high = 0;
        const char *slash = strrchr(line, '/');

        if (sscanf(line, "%lx-%lx", &low, &high) != 2)
            continue;
        if (address >= low && address < high)
            snprintf(name, 64, "%.*s", slash ? (int)strcspn(slash + 1, " \n") : 1,
                     slash ? slash + 1 : "?");
        if (slash && !strcmp(slash, "/libbaton.so\n")) {
            thread->low = thread->low ? thread->low : low;
            thread->high = high;
        }
    }
    if (maps)
        fclose(maps);
}

static void poke(pid_t tid, uintptr_t address, void *bytes, bool is_read)
{
    char path[64];
    int fd;

    snprintf(path, sizeof path, "/proc/%d/mem", tid);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || (is_read ? pread(fd, bytes, sizeof stop_here, (off_t)address)
                           : pwrite(fd, bytes, sizeof stop_here, (off_t)address)) < 0)
        perror("calls_of: memory");
    close(fd);
}

/* A new program: it has started when it comes to its entry. */
static void has_executed(struct thread *thread)
{
    char path[64];
    uint64_t word[2];
    FILE *file;

    *thread = (struct thread){.tid = thread->tid, .is_starting = true};
    snprintf(path, sizeof path, "/proc/%d/auxv", thread->tid);
    file = fopen(path, "re");
    while (file && fread(word, sizeof word, 1, file) == 1) {
        if (word[0] == AT_ENTRY)
            thread->entry = word[1];
    }
    if (file)
        fclose(file);
    if (thread->entry) {
        poke(thread->tid, thread->entry, thread->was, true);
        poke(thread->tid, thread->entry, (void *)(uintptr_t)stop_here, false);
    }
}

static bool is_at_entry(struct thread *thread)
{
    struct user_regs_struct registers;

    if (!thread->entry)
        return false;
    registers_of(thread->tid, &registers, false);
    if (IP(registers) - STOPS_BEHIND != thread->entry)
        return false;
    poke(thread->tid, thread->entry, thread->was, false);
    IP(registers) = thread->entry;
    registers_of(thread->tid, &registers, true);
    thread->entry = 0;
    thread->is_starting = false;
    if (list)
        fprintf(list, "= entry\n");
    return true;
}

static void fail(pid_t tid, bool is_made)
{
    struct user_regs_struct registers;

    registers_of(tid, &registers, false);
#ifdef __x86_64__
    if (is_made)
        registers.rax = (unsigned long)-error;
    else
        registers.orig_rax = (unsigned long)-1;
#else
    if (is_made) {
        registers.regs[0] = (unsigned long)-error;
    } else {
        int none = -1;
        struct iovec io = {&none, sizeof none};

        ptrace(PTRACE_SETREGSET, tid, 0x404 /* NT_ARM_SYSTEM_CALL */, &io);
    }
#endif
    registers_of(tid, &registers, true);
}

static void has_called(struct thread *thread)
{
    struct {
        uint8_t op, pad[3];
        uint32_t arch;
        uint64_t ip, sp, word[8];
    } info = {0};
    const char *phase = thread->is_starting ? "start" : "run";
    char name[64] = "?";

    if (ptrace(GET_SYSCALL_INFO, thread->tid, sizeof info, &info) <= 0)
        return;
    if (info.op == 2) { /* on its way back */
        if (thread->fails)
            fail(thread->tid, true);
        thread->fails = false;
        return;
    }
    if (info.op != 1)
        return;
    if (!thread->high || (list && (info.ip < thread->low || info.ip >= thread->high)))
        look(thread, info.ip, name);
    if (info.ip < thread->low || info.ip >= thread->high) {
        if (list)
            fprintf(list, "- %d %s %s\n", (int)info.word[0], phase, name);
        return;
    }
    calls++;
    if (list)
        fprintf(list, "%d %d %s %lx\n", calls, (int)info.word[0], phase,
                (unsigned long)info.ip - thread->low);
    if (at && (number < 0 || number == (int)info.word[0]) && ++counted == at) {
        thread->fails = true;
        fail(thread->tid, false);
    }
}

/* A sandbox: each number allowed is two instructions, and what is none of them is the end. */
static void allow_only(const char *numbers)
{
    static struct sock_filter filter[2 * ALLOWED_MAX + 4] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_execve, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = 3, .filter = filter};
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
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) {
        perror("calls_of: no sandbox");
        _exit(125);
    }
}

static void execute(char **arguments)
{
    const char *preload = getenv("CALLS_PRELOAD"), *allowed = getenv("CALLS_ALLOW");
    static const char *const own[] = {"CALLS_LOG", "CALLS_AT", "CALLS_ERRNO", "CALLS_NUMBER"};

    if (preload)
        setenv("LD_PRELOAD", preload, 1);
    for (unsigned i = 0; i < sizeof own / sizeof *own; i++)
        unsetenv(own[i]);
    unsetenv("CALLS_PRELOAD");
    if (allowed) {
        allow_only(allowed);
        unsetenv("CALLS_ALLOW");
    }
    execvp(arguments[0], arguments);
    perror("calls_of: exec");
    _exit(125);
}

static void go_on(pid_t tid, int status)
{
    struct thread *thread = of(tid);
    int signal = WSTOPSIG(status), event = status >> 16, answer = 0;
    pid_t child;

    if (event == EVENT_STOP &&
        (signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU)) {
        ptrace(PTRACE_LISTEN, tid, 0, 0);
        return;
    }
    if (event == PTRACE_EVENT_EXEC) {
        has_executed(thread);
    } else if (event == PTRACE_EVENT_FORK || event == PTRACE_EVENT_VFORK ||
               event == PTRACE_EVENT_CLONE) {
        unsigned long message = 0;

        ptrace(PTRACE_GETEVENTMSG, tid, 0, &message);
        child = (pid_t)message;
        *of(child) =
            (struct thread){child, thread->is_starting, false, thread->low, thread->high, 0, {0}};
    } else if (!event && signal == (SIGTRAP | 0x80)) {
        has_called(thread);
    } else if (!event && (signal != SIGTRAP || !is_at_entry(thread))) {
        answer = signal;
    }
    ptrace(PTRACE_SYSCALL, tid, 0, answer);
}

int main(int argc, char **argv)
{
    const char *file = getenv("CALLS_LOG");
    int status, result = 125, gate[2];
    pid_t first, tid;
    char go = 'g';

    if (argc < 2)
        return 125;
    if (getenv("CALLS_ALLOW"))
        execute(argv + 1);
    at = setting("CALLS_AT", 0);
    error = setting("CALLS_ERRNO", EPERM);
    number = setting("CALLS_NUMBER", -1);
    list = file ? fopen(file, "we") : NULL;
    if (pipe2(gate, O_CLOEXEC))
        return 125;
    first = fork();
    if (!first) {
        if (read(gate[0], &go, 1) != 1)
            _exit(125);
        execute(argv + 1);
    }
    if (ptrace(PTRACE_SEIZE, first, 0,
               PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK |
                   PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL)) {
        perror("calls_of: ptrace");
        return 125;
    }
    if (write(gate[1], &go, 1) != 1)
        return 125;
    close(gate[0]);
    close(gate[1]);
    while ((tid = waitpid(-1, &status, __WALL)) > 0 || (tid < 0 && errno == EINTR)) {
        if (tid < 0)
            continue;
        if (WIFSTOPPED(status)) {
            go_on(tid, status);
            continue;
        }
        of(tid)->is_starting = of(tid)->fails = false;
        of(tid)->low = of(tid)->high = of(tid)->entry = 0;
        if (tid == first)
            result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    if (list)
        fclose(list);
    if (result > 128) {
        signal(result - 128, SIG_DFL);
        prctl(PR_SET_DUMPABLE, 0);
        raise(result - 128);
    }
    return result;
}
