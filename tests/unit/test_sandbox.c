/* Filters of sandboxes: run here they say what the kernel makes of them; what a filter means to our calls at exit. */
#include <errno.h>
#include <linux/futex.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/sandbox.h"
#include "base/sys.h"
#include "suite.h"

enum { STEPS = 24, PROGRAMS = 16, CALL = 140, MACHINE = 0x3e };

static uint32_t seed;

static uint32_t next(uint32_t below)
{
    seed = seed * 1664525 + 1013904223;
    return (seed >> 8) % below;
}

/* Computes at random with what it is told of CALL; all other calls are allowed. The result is an error's number. */
static unsigned make(struct sock_filter *filter)
{
    static const unsigned computing[] = {BPF_ADD, BPF_SUB, BPF_MUL, BPF_DIV, BPF_AND,
                                         BPF_OR,  BPF_XOR, BPF_LSH, BPF_RSH};
    static const unsigned asked[] = {0, 16, 20,
                                     24}; /* not the machine, nor where it is called from */
    static const unsigned jumping[] = {BPF_JEQ, BPF_JGT, BPF_JGE, BPF_JSET};
    unsigned n = 0, end;

    filter[n++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, 0);
    filter[n++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CALL, 1, 0);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    for (uint32_t i = 0; i < BPF_MEMWORDS; i++)
        filter[n++] = (struct sock_filter)BPF_STMT(BPF_ST, i);
    for (end = n + STEPS; n < end;) {
        uint32_t k = next(2) ? next(UINT32_MAX) : next(32), memory = next(BPF_MEMWORDS);
        unsigned source = next(2) ? BPF_X : BPF_K, left = end - n - 1;
        unsigned operation = computing[next(sizeof computing / sizeof *computing)];
        struct sock_filter step;

        switch (next(10)) {
        case 0:
            step = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, asked[next(4)]);
            break;
        case 1:
            step = (struct sock_filter)BPF_STMT(next(2) ? BPF_LD | BPF_IMM : BPF_LDX | BPF_IMM, k);
            break;
        case 2:
            step = (struct sock_filter)BPF_STMT(next(2) ? BPF_ST : BPF_STX, memory);
            break;
        case 3:
            step = (struct sock_filter)BPF_STMT(next(2) ? BPF_LD | BPF_MEM : BPF_LDX | BPF_MEM,
                                                memory);
            break;
        case 4:
            step = (struct sock_filter)BPF_STMT(BPF_MISC | (next(2) ? BPF_TAX : BPF_TXA), 0);
            break;
        case 5:
            step = (struct sock_filter)BPF_STMT(
                next(2) ? BPF_LD | BPF_W | BPF_LEN : BPF_ALU | BPF_NEG, 0);
            break;
        case 6:
            step = (struct sock_filter)BPF_STMT(BPF_JMP | BPF_JA, next(left + 1));
            break;
        case 7:
            step = (struct sock_filter)BPF_JUMP(BPF_JMP | jumping[next(4)] | source, k,
                                                (uint8_t)next(left + 1), (uint8_t)next(left + 1));
            break;
        default: /* what the machine leaves open is not asked: a division by X, a shift by X */
            if (operation == BPF_DIV || operation == BPF_LSH || operation == BPF_RSH) {
                source = BPF_K;
                k = 1 + k % 31;
            }
            step = (struct sock_filter)BPF_STMT(BPF_ALU | operation | source, k);
        }
        filter[n++] = step;
    }
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_ALU | BPF_OR | BPF_K, SECCOMP_RET_ERRNO | 0x100);
    filter[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_A, 0);
    return n;
}

/* What Linux 6 has answered to filters of these seeds, each entered by a process of its own. */
START_TEST(test_sandbox_asks_as_the_kernel_does)
{
    static const uint32_t kernels[PROGRAMS] = {0x10f, 0x100, 0x1c0, 0x12e, 0x18e, 0x18c,
                                               0x100, 0x100, 0x100, 0x103, 0x140, 0x1a5,
                                               0x100, 0x140, 0x100, 0x18c};
    struct sock_filter filter[STEPS + BPF_MEMWORDS + 8];
    struct seccomp_data call = {.nr = CALL, .arch = MACHINE};

    for (uint32_t i = 0; i < PROGRAMS; i++) {
        unsigned len;

        seed = 4711 + i;
        len = make(filter);
        call.nr = CALL;
        ck_assert_uint_eq(sandbox_ask(filter, len, &call), SECCOMP_RET_ERRNO | kernels[i]);
        call.nr = CALL + 1;
        ck_assert_uint_eq(sandbox_ask(filter, len, &call), SECCOMP_RET_ALLOW);
    }
}
END_TEST

/* What was left out above is the same on all machines in the kernel's hands. */
START_TEST(test_sandbox_divides_and_shifts_as_the_kernel_does)
{
    static const struct sock_filter divides[] = {
        BPF_STMT(BPF_LD | BPF_IMM, 5),
        BPF_STMT(BPF_ALU | BPF_DIV | BPF_X, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    static const struct sock_filter shifts[] = {
        BPF_STMT(BPF_LD | BPF_IMM, 5),
        BPF_STMT(BPF_LDX | BPF_IMM, 33),
        BPF_STMT(BPF_ALU | BPF_LSH | BPF_X, 0),
        BPF_STMT(BPF_RET | BPF_A, 0),
    };
    struct seccomp_data call = {.nr = CALL, .arch = MACHINE};

    ck_assert_uint_eq(sandbox_ask(divides, 3, &call), SECCOMP_RET_KILL_THREAD);
    ck_assert_uint_eq(sandbox_ask(shifts, 4, &call), 10);
}
END_TEST

static void show(uint32_t answer, unsigned number)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        BPF_STMT(BPF_RET | BPF_K, answer),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

    sandbox_note(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Futexes that say who has them: only the exit is open. Before the next, which shuts all. */
START_TEST(test_sandbox_is_asked_of_futexes_with_owners)
{
    static const struct {
        unsigned operation;
        bool is_open, is_owned;
    } rows[] = {
        {FUTEX_WAKE_PRIVATE, true, true},     {FUTEX_TRYLOCK_PI_PRIVATE, true, false},
        {FUTEX_LOCK_PI_PRIVATE, true, false}, {FUTEX_UNLOCK_PI_PRIVATE, true, false},
        {FUTEX_WAIT_PRIVATE, false, false},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct sock_filter filter[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, rows[i].operation, 0, 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        };
        struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

        sandbox_is_seen = sandbox_is_feared = sandbox_bars_owners = false;
        sandbox_note(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
        ck_assert_int_eq(!sandbox_is_shut(), rows[i].is_open);
        ck_assert_int_eq(sandbox_allows_owners(), rows[i].is_owned);
    }
    sandbox_is_seen = sandbox_is_feared = sandbox_bars_owners = false;
    sandbox_note(PR_SET_NO_NEW_PRIVS, 1, NULL);
    ck_assert(!sandbox_allows_owners());
    sandbox_is_feared = false;
}
END_TEST

/* In this order: what was noted stays for the process, as its filters do. */
START_TEST(test_sandbox_is_shut_by_what_ends_the_process)
{
    sandbox_note(PR_SET_NAME, 0, "name");
    ck_assert(!sandbox_is_shut());
    sandbox_note(PR_SET_NO_NEW_PRIVS, 1, NULL); /* perhaps one that is not shown */
    ck_assert(sandbox_is_shut());
    show(SECCOMP_RET_KILL_PROCESS, SYS_ptrace);
    ck_assert(!sandbox_is_shut());
    sandbox_note(PR_SET_NO_NEW_PRIVS, 1, NULL); /* and another */
    ck_assert(sandbox_is_shut());
    show(SECCOMP_RET_ERRNO | EPERM, SYS_openat);
    ck_assert(!sandbox_is_shut());
    show(SECCOMP_RET_TRAP, SYS_openat);
    ck_assert(sandbox_is_shut());
    show(SECCOMP_RET_KILL_PROCESS, SYS_ptrace); /* the one before it stays */
    ck_assert(sandbox_is_shut());
}
END_TEST

static const char *told_version;

static const char *tell_version(void)
{
    return told_version;
}

static void *find_version(const char *name)
{
    return told_version && !strcmp(name, "gnu_get_libc_version") ? (void *)tell_version : NULL;
}

/* By whichever call the C library asks about a descriptor a filter that lets it load its libraries lets that one through. */
static bool is_status_by_version(void)
{
    static const struct {
        const char *version;
        bool is_fstat;
    } rows[] = {{"2.31", true}, {"2.32", true}, {"2.33", false}, {"2.36", false}, {"2.38", false},
                {"2.39", true}, {"2.41", true}, {"3.0", true},   {NULL, false}};
    struct stat status;

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        told_version = rows[i].version;
        sandbox_begin(find_version);
        if (sys_status_is_fstat != rows[i].is_fstat || sys_status(1, &status) != 0)
            return false;
    }
    return true;
}

/* Who has said nothing of it, as who was executed inside. */
START_TEST(test_sandbox_that_was_there_is_known_from_proc)
{
    struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
    struct sock_fprog program = {.len = 1, .filter = filter};
    pid_t child;
    int status;

    sandbox_begin(find_version);
    ck_assert(sandbox_was_there() == (prctl(PR_GET_SECCOMP) == SECCOMP_MODE_FILTER));
    sandbox_end();
    child = fork();
    if (!child) {
        bool is_right;

        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
            prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program))
            _exit(77);
        sandbox_begin(find_version);
        is_right = sandbox_was_there() && sandbox_getpid() == getpid() &&
                   sandbox_gettid() == gettid();
        if (!is_right || !is_status_by_version())
            _exit(1);
        sandbox_begin(find_version);
        sandbox_end(); /* no number is kept longer */
        child = fork();
        if (!child)
            _exit(sandbox_getpid() != getpid() || sandbox_gettid() != gettid());
        waitpid(child, &status, 0);
        _exit(status != 0);
    }
    waitpid(child, &status, 0);
    ck_assert(WIFEXITED(status) && (WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 77));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("sandbox");

    tcase_add_test(tests, test_sandbox_asks_as_the_kernel_does);
    tcase_add_test(tests, test_sandbox_divides_and_shifts_as_the_kernel_does);
    tcase_add_test(tests, test_sandbox_is_asked_of_futexes_with_owners);
    tcase_add_test(tests, test_sandbox_is_shut_by_what_ends_the_process);
    tcase_add_test(tests, test_sandbox_that_was_there_is_known_from_proc);
    return suite_run("sandbox", tests);
}
