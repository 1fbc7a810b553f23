/*
 * Preloaded in front of libbaton.so: a sandbox that the program enters before main.
 *     FAULTS_ALLOW=S,S  from our constructor on, which is later than the library's, the kernel ends the process at a call
 *                       that is none of these
 * A call that nobody else makes, of close(-4242), says in a trace where our constructor has run.
 */
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

enum { ALLOWED_MAX = 200, MARK = -4242 };

/* Each number allowed is two instructions, and what is none of them is the end. */
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

    close(MARK);
    if (allowed)
        allow_only(allowed);
}
