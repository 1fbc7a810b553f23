/*
 * What a sandbox will say to our calls at exit, and to those that a program need not make itself.
 *
 * A program that enters one by prctl shows its filter, which is run here as the kernel runs it, with the calls that we
 * would make. One that gives up new privileges, as everybody without any must before, may enter one by a system call
 * that we do not see: until it shows a filter after that it is taken for shut in. A second filter can only forbid more.
 *
 * Rule: threads and signal handlers note at the same time, so what a filter forbids is stored and never taken back.
 */
#include "base/sandbox.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

#include "base/arch.h"
#include "base/sys.h"

_Atomic bool sandbox_is_seen, sandbox_is_feared, sandbox_bars_owners;
_Atomic uint32_t sandbox_bars;

/* Unsigned, as the kernel's. Shifts take the lower bits of a number beyond the width, as the machines do. */
static uint32_t compute(unsigned operation, uint32_t a, uint32_t b)
{
    switch (operation) {
    case BPF_ADD:
        return a + b;
    case BPF_SUB:
        return a - b;
    case BPF_MUL:
        return a * b;
    case BPF_DIV:
        return b ? a / b : 0; /* not reached: sandbox_ask */
    case BPF_AND:
        return a & b;
    case BPF_OR:
        return a | b;
    case BPF_XOR:
        return a ^ b;
    case BPF_LSH:
        return a << b % 32;
    case BPF_RSH:
        return a >> b % 32;
    default: /* BPF_NEG */
        return -a;
    }
}

static bool compare(unsigned operation, uint32_t a, uint32_t b)
{
    switch (operation) {
    case BPF_JEQ:
        return a == b;
    case BPF_JGT:
        return a > b;
    case BPF_JGE:
        return a >= b;
    default: /* BPF_JSET */
        return a & b;
    }
}

static uint32_t load(const struct sock_filter *step, const struct seccomp_data *call,
                     const uint32_t *memory)
{
    switch (BPF_MODE(step->code)) {
    case BPF_ABS: /* 32-bit words at multiples of four only */
        return step->k <= sizeof *call - sizeof(uint32_t)
                   ? ((const uint32_t *)(const void *)call)[step->k / sizeof(uint32_t)]
                   : 0;
    case BPF_MEM:
        return memory[step->k % BPF_MEMWORDS];
    case BPF_LEN:
        return sizeof *call;
    default: /* BPF_IMM */
        return step->k;
    }
}

uint32_t sandbox_ask(const struct sock_filter *filter, unsigned len,
                     const struct seccomp_data *call)
{
    uint32_t a = 0, x = 0, memory[BPF_MEMWORDS] = {0};

    for (unsigned at = 0; at < len; at++) {
        const struct sock_filter *step = &filter[at];
        uint32_t operand = BPF_SRC(step->code) == BPF_X ? x : step->k;

        switch (BPF_CLASS(step->code)) {
        case BPF_LD:
            a = load(step, call, memory);
            break;
        case BPF_LDX:
            x = load(step, call, memory);
            break;
        case BPF_ST:
            memory[step->k % BPF_MEMWORDS] = a;
            break;
        case BPF_STX:
            memory[step->k % BPF_MEMWORDS] = x;
            break;
        case BPF_ALU:
            if (BPF_OP(step->code) == BPF_DIV && !operand) /* by X: ends the filter */
                return SECCOMP_RET_KILL_THREAD;
            a = compute(BPF_OP(step->code), a, operand);
            break;
        case BPF_JMP:
            if (BPF_OP(step->code) == BPF_JA)
                at += step->k < len ? step->k : len;
            else
                at += compare(BPF_OP(step->code), a, operand) ? step->jt : step->jf;
            break;
        case BPF_RET:
            return BPF_RVAL(step->code) == BPF_A ? a : step->k;
        default: /* BPF_MISC */
            if (BPF_MISCOP(step->code) == BPF_TAX)
                x = a;
            else
                a = x;
        }
    }
    return SECCOMP_RET_KILL_PROCESS;
}

struct asked {
    int number;
    uint64_t args[4];
};

static bool lets_through(const struct sock_fprog *program, const struct asked *calls, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct seccomp_data call = {.nr = calls[i].number, .arch = (uint32_t)ARCH_AUDIT};
        uint32_t answer;

        for (unsigned j = 0; j < 4; j++)
            call.args[j] = calls[i].args[j];
        if (sys_status_is_fstat && call.nr == SYS_newfstatat && call.args[3] == AT_EMPTY_PATH)
            call = (struct seccomp_data){
                .nr = SYS_fstat, .arch = (uint32_t)ARCH_AUDIT, .args = {call.args[0]}};
        answer = sandbox_ask(program->filter, program->len, &call) & SECCOMP_RET_ACTION_FULL;
        if (answer != SECCOMP_RET_ALLOW && answer != SECCOMP_RET_LOG && answer != SECCOMP_RET_ERRNO)
            return false;
    }
    return true;
}

/* What a report, a message and the search for what was not found may call, with what a filter may look at. */
static bool lets_us_through(const struct sock_fprog *program)
{
    enum {
        WRITING = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY
    };
    static const struct asked calls[] = {
        {SYS_write, {2}},
        {SYS_write, {3}},
        {SYS_newfstatat, {2, 0, 0, AT_EMPTY_PATH}},
        {SYS_newfstatat, {3, 0, 0, AT_EMPTY_PATH}},
        {SYS_rt_sigpending, {0}},
        {SYS_rt_sigprocmask, {SIG_BLOCK}},
        {SYS_rt_sigprocmask, {SIG_SETMASK}},
        {SYS_rt_sigprocmask, {SYS_NO_SUCH_CHANGE}},
        {SYS_rt_sigtimedwait, {0}},
        {SYS_ppoll, {0, 1}},
        {SYS_openat, {(uint64_t)AT_FDCWD, 0, WRITING, 0600}},
        {SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC}},
        {SYS_newfstatat, {(uint64_t)AT_FDCWD}},
        {SYS_readlinkat, {(uint64_t)AT_FDCWD}},
        {SYS_unlinkat, {(uint64_t)AT_FDCWD}},
        {SYS_pread64, {3}},
        {SYS_fcntl, {0, F_DUPFD_CLOEXEC, 3}},
        {SYS_close, {3}},
        {SYS_mmap, {0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS}},
        {SYS_mmap, {0, 65536, PROT_READ, MAP_PRIVATE}},
        {SYS_munmap, {0, 65536}},
        {SYS_read, {3}},
        {SYS_faccessat, {(uint64_t)AT_FDCWD, 0, F_OK}},
        {SYS_mincore, {0, 1}},
        {SYS_getpid, {0}},
        {SYS_gettid, {0}},
        {SYS_geteuid, {0}},
        {SYS_futex, {0, FUTEX_WAIT_PRIVATE}},
    };

    return lets_through(program, calls, sizeof calls / sizeof *calls);
}

/* Futexes that say who has them: no lock of the C library's usual ones is, so a filter may well not know them. */
static bool lets_owners_through(const struct sock_fprog *program)
{
    static const struct asked calls[] = {
        {SYS_futex, {0, FUTEX_TRYLOCK_PI_PRIVATE}}, /* gone.c */
        {SYS_futex, {0, FUTEX_LOCK_PI_PRIVATE}},    /* lock.c */
        {SYS_futex, {0, FUTEX_UNLOCK_PI_PRIVATE}},
    };

    return lets_through(program, calls, sizeof calls / sizeof *calls);
}

/* What sandbox_allows is asked for, call by call. */
static uint32_t barred_by(const struct sock_fprog *program)
{
    enum {
        NAME_MAPPING = 0x53564d41,
        POPULATE_WRITE = 23,
        WAKE_OP_PRIVATE = FUTEX_WAKE_OP | 128,
        IOPRIO_OF_PROCESS = 1
    };
    static const struct {
        enum sandbox_wish wish;
        struct asked call;
    } asked[] = {
        {SANDBOX_MAP, {SYS_mmap, {0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS}}},
        {SANDBOX_UNMAP, {SYS_munmap, {0, 65536}}},
        {SANDBOX_ADVISE, {SYS_madvise, {0, 65536, MADV_DONTNEED}}},
        {SANDBOX_ADVISE, {SYS_madvise, {0, 65536, POPULATE_WRITE}}},
        {SANDBOX_OWN,
         {SYS_mmap, {0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED}}},
        {SANDBOX_NAME, {SYS_prctl, {PR_GET_NAME}}},
        {SANDBOX_NAME, {SYS_prctl, {PR_SET_NAME}}},
        {SANDBOX_IOPRIO, {SYS_ioprio_get, {IOPRIO_OF_PROCESS}}},
        {SANDBOX_IOPRIO, {SYS_ioprio_set, {IOPRIO_OF_PROCESS}}},
        {SANDBOX_STACKS, {SYS_sigaltstack, {0}}},
        {SANDBOX_MASK, {SYS_rt_sigprocmask, {SYS_NO_SUCH_CHANGE}}},
        {SANDBOX_FUTEX, {SYS_futex, {0, FUTEX_WAIT | 128}}},
        {SANDBOX_PAGES, {SYS_mincore, {0, 1}}},
        {SANDBOX_UNWIND, {SYS_rt_sigprocmask, {SIG_BLOCK}}},
        {SANDBOX_UNWIND, {SYS_rt_sigprocmask, {SIG_SETMASK}}},
        {SANDBOX_UNWIND, {SYS_mincore, {0, 4096}}},
        {SANDBOX_UNWIND, {SYS_sigaltstack, {0}}},
        {SANDBOX_UNWIND, {SYS_pipe2, {0}}},
        {SANDBOX_UNWIND, {SYS_write, {3, 0, 1}}},
        {SANDBOX_UNWIND, {SYS_read, {3, 0, 1}}},
        {SANDBOX_UNWIND, {SYS_close, {3}}},
        {SANDBOX_UNWIND, {SYS_gettid, {0}}},
        {SANDBOX_UNWIND,
         {SYS_mmap, {0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS}}},
        {SANDBOX_UNWIND, {SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY}}},
        {SANDBOX_UNWIND, {SYS_munmap, {0, 65536}}},
        {SANDBOX_WOKEN, {SYS_futex, {0, WAKE_OP_PRIVATE}}},
        {SANDBOX_READ,
         {SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC}}},
        {SANDBOX_READ, {SYS_newfstatat, {3, 0, 0, AT_EMPTY_PATH}}},
        {SANDBOX_READ, {SYS_pread64, {3}}},
        {SANDBOX_READ, {SYS_close, {3}}},
        {SANDBOX_READ, {SYS_mmap, {0, 65536, PROT_READ, MAP_PRIVATE}}},
        {SANDBOX_READ, {SYS_munmap, {0, 65536}}},
        {SANDBOX_READ, {SYS_faccessat, {(uint64_t)AT_FDCWD, 0, F_OK}}},
        {SANDBOX_READ, {SYS_readlinkat, {(uint64_t)AT_FDCWD}}},
        {SANDBOX_CRASH, {SYS_sigaltstack, {0}}},
        {SANDBOX_CRASH,
         {SYS_mmap,
          {0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE}}},
        {SANDBOX_CRASH, {SYS_rt_sigaction, {SIGSEGV}}},
        {SANDBOX_CRASH, {SYS_gettid, {0}}},
        {SANDBOX_CRASH, {SYS_getpid, {0}}},
        {SANDBOX_CRASH, {SYS_prctl, {PR_GET_NAME}}},
        {SANDBOX_CRASH, {SYS_rt_tgsigqueueinfo, {0}}},
        {SANDBOX_CRASH, {SYS_tgkill, {0}}},
        {SANDBOX_CRASH, {SYS_nanosleep, {0}}},
        {SANDBOX_CRASH,
         {SYS_openat,
          {(uint64_t)AT_FDCWD, 0,
           O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY, 0600}}},
        {SANDBOX_CRASH, {SYS_newfstatat, {2, 0, 0, AT_EMPTY_PATH}}},
        {SANDBOX_CRASH, {SYS_write, {2}}},
        {SANDBOX_CRASH, {SYS_ppoll, {0, 1}}},
        {SANDBOX_FILES, {SYS_getpid, {0}}},
        {SANDBOX_FILES, {SYS_geteuid, {0}}},
        {SANDBOX_FILES, {SYS_kill, {2, 0}}},
        {SANDBOX_FILES, {SYS_prlimit64, {0, RLIMIT_FSIZE}}},
        {SANDBOX_FILES,
         {SYS_openat,
          {(uint64_t)AT_FDCWD, 0, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY,
           0600}}},
        {SANDBOX_FILES,
         {SYS_openat,
          {(uint64_t)AT_FDCWD, 0, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
           0600}}},
        {SANDBOX_FILES, {SYS_openat, {(uint64_t)AT_FDCWD, 0, O_RDONLY | O_CLOEXEC | O_NOCTTY}}},
        {SANDBOX_FILES, {SYS_newfstatat, {(uint64_t)AT_FDCWD}}},
        {SANDBOX_FILES, {SYS_unlinkat, {(uint64_t)AT_FDCWD}}},
        {SANDBOX_FILES, {SYS_fstat, {3}}},
        {SANDBOX_FILES, {SYS_ftruncate, {3, 65536}}},
        {SANDBOX_FILES, {SYS_fallocate, {3, 0}}},
        {SANDBOX_FILES, {SYS_pread64, {3}}},
        {SANDBOX_FILES, {SYS_pwrite64, {3}}},
        {SANDBOX_FILES, {SYS_read, {3}}},
        {SANDBOX_FILES, {SYS_close, {3}}},
        {SANDBOX_FILES, {SYS_memfd_create, {0, 1}}},
        {SANDBOX_FILES, {SYS_mmap, {0, 65536, PROT_READ | PROT_WRITE, MAP_SHARED}}},
        {SANDBOX_FILES,
         {SYS_mmap,
          {0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE}}},
        {SANDBOX_FILES, {SYS_mremap, {0, 4096, 4096, MREMAP_MAYMOVE | MREMAP_FIXED}}},
        {SANDBOX_FILES, {SYS_munmap, {0, 65536}}},
        {SANDBOX_FILES, {SYS_madvise, {0, 65536, MADV_DONTFORK}}},
        {SANDBOX_FILES, {SYS_prctl, {NAME_MAPPING}}},
    };
    uint32_t barred = 0;

    for (size_t i = 0; i < sizeof asked / sizeof *asked; i++) {
        if (!lets_through(program, &asked[i].call, 1))
            barred |= (uint32_t)1 << asked[i].wish;
    }
    return barred;
}

void sandbox_note(int option, unsigned long mode, const void *program)
{
    static _Atomic uint32_t shown;

    if (option == PR_SET_NO_NEW_PRIVS) {
        atomic_store(&sandbox_is_feared, true);
        atomic_fetch_or(&sandbox_bars,
                        ~((uint32_t)1 << SANDBOX_MAP | (uint32_t)1 << SANDBOX_FUTEX));
    }
    if (option != PR_SET_SECCOMP)
        return;
    if (mode != SECCOMP_MODE_FILTER || !program) {
        atomic_store(&shown, UINT32_MAX);
        atomic_store(&sandbox_is_seen, true);
    } else {
        atomic_fetch_or(&shown, barred_by(program));
        if (!lets_us_through(program))
            atomic_store(&sandbox_is_seen, true);
        else if (!lets_owners_through(program))
            atomic_store(&sandbox_bars_owners, true);
    }
    atomic_store(&sandbox_bars, atomic_load(&shown));
    atomic_store(&sandbox_is_feared, false);
}

/*
 * By a futex that nobody waits for: the kernel fetches the word, and has no time to wait where it is the one named. A
 * program without threads and signals may have a sandbox that knows no call of masks.
 */
static bool is_readable_by_futex(const void *from, size_t len)
{
    enum { LEAST_PAGE = 4096, WAIT_PRIVATE = 128, SELDOM = 0x5eed5a1d };
    uintptr_t at = (uintptr_t)from & ~(uintptr_t)3, end = (uintptr_t)from + len;
    struct timespec none = {0, 0};

    for (; at < end; at = (at | (LEAST_PAGE - 1)) + 1) {
        if (SYS_CALL(futex, at, WAIT_PRIVATE, (long)SELDOM, &none, NULL, 0L) == -EFAULT)
            return false;
    }
    return true;
}

bool sandbox_is_readable(const void *from, size_t len)
{
    if (sandbox_allows(SANDBOX_MASK))
        return sys_is_readable(from, len);
    return sandbox_allows(SANDBOX_FUTEX) && is_readable_by_futex(from, len);
}

/* ---- a filter that was there before ---- */

static bool was_there;
static int own_process, own_thread; /* 0: not known */
static const void *own_pointer;     /* the thread's that starts us */

/* The number behind NAME, which begins a line. */
static int number_behind(const char *text, const char *name)
{
    const char *found = strstr(text, name);
    int number = 0;

    for (found += found ? strlen(name) : 0; found && *found >= '0' && *found <= '9'; found++)
        number = number * 10 + *found - '0';
    return number;
}

/* From the end, which is nearer, and eight bytes at a time, as long as the name is: numbers lie behind it. Asked at every
 * start. */
static bool tells_of_filter(const char *text, long len)
{
    static const char name[] = "Seccomp:";
    enum { LEN = sizeof name - 1 };

    for (long at = len - LEN - 2; at >= LEN; at -= LEN) {
        if (text[at] < ':')
            continue;
        for (long i = 0; i < LEN; i++) {
            if (text[at] == name[i] && memcmp(&text[at - i], name, LEN) == 0)
                return text[at - i + LEN + 1] != '0';
        }
    }
    return false;
}

bool sys_status_is_fstat;

/* From 2.33 to 2.38 the C library, and its loader, asked about a descriptor by newfstatat. */
static bool is_fstat_a_call(const char *version)
{
    unsigned minor = 0;

    if (strncmp(version, "2.", 2))
        return true;
    for (version += 2; *version >= '0' && *version <= '9'; version++)
        minor = 10 * minor + (unsigned)(*version - '0');
    return minor < 33 || minor > 38;
}

void sandbox_begin(void *(*find)(const char *name))
{
    const char *(*version)(void);
    char text[2048];
    long got, fd = SYS_CALL(openat, AT_FDCWD, "/proc/thread-self/status", O_RDONLY | O_CLOEXEC);

    was_there = false;
    if (fd < 0)
        return;
    got = sys_read((int)fd, text, sizeof text - 1);
    sys_close((int)fd);
    if (!tells_of_filter(text, got))
        return;
    text[got] = '\0';
    was_there = true;
    own_process = number_behind(text, "\nTgid:\t");
    own_thread = number_behind(text, "\nPid:\t");
    own_pointer = arch_tp();
    version = (const char *(*)(void))find("gnu_get_libc_version");
    sys_status_is_fstat = version && is_fstat_a_call(version());
}

void sandbox_end(void)
{
    own_pointer = NULL;
}

bool sandbox_was_there(void)
{
    return was_there;
}

int sandbox_getpid(void)
{
    return own_pointer == arch_tp() && own_process > 0 ? own_process : sys_getpid();
}

int sandbox_gettid(void)
{
    return own_pointer == arch_tp() && own_thread > 0 ? own_thread : (int)SYS_CALL(gettid, 0);
}
