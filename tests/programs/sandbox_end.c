/*
 * A thread is given work; then the program shuts itself in and ends, with a line that is not written out yet.
 *     sandbox_end HOW
 * HOW: strict (read, write, exit only), filter (write and exit, all else kills), unseen (the same by a call of its own),
 * fails (all else fails), wide (ptrace kills), twice (wide, then filter), again (wide, then unseen), none.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

pthread_key_t request_key;

static void *look(void *unused)
{
    printf("the thread sees %s\n", pthread_getspecific(request_key) ? "the key" : "nothing");
    return NULL;
}

/* What is not allowed is answered so. */
static int enter(struct sock_filter *filter, unsigned short len, unsigned answer, int is_unseen)
{
    struct sock_fprog program = {len, filter};

    filter[len - 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, answer);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return is_unseen ? (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)
                     : prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static int enter_narrow(unsigned answer, int is_unseen)
{
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 1, 0),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        {0},
    };

    return enter(filter, sizeof filter / sizeof *filter, answer, is_unseen);
}

static int enter_wide(void)
{
    static struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
        {0},
    };

    return enter(filter, sizeof filter / sizeof *filter, SECCOMP_RET_KILL_PROCESS, 0);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "none";
    pthread_t thread;
    int error = 0;

    pthread_key_create(&request_key, NULL);
    pthread_setspecific(request_key, how);
    pthread_create(&thread, NULL, look, NULL);
    pthread_join(thread, NULL);
    if (!strcmp(how, "strict"))
        error = prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT);
    if (!strcmp(how, "wide") || !strcmp(how, "twice") || !strcmp(how, "again"))
        error = enter_wide();
    if (!strcmp(how, "filter") || !strcmp(how, "twice"))
        error |= enter_narrow(SECCOMP_RET_KILL_PROCESS, 0);
    if (!strcmp(how, "unseen") || !strcmp(how, "again"))
        error |= enter_narrow(SECCOMP_RET_KILL_PROCESS, 1);
    if (!strcmp(how, "fails"))
        error = enter_narrow(SECCOMP_RET_ERRNO | 1, 0);
    if (error)
        return 77;
    printf("it ends\n");
    return 0;
}
