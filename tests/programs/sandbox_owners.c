/*
 * In a sandbox that kills at futexes which say who has them (priority inheritance), and allows all else, threads are
 * given work; they end in turn, or by a system call of their own, or when all of them are there.
 *     sandbox_owners HOW few|many|ended|living
 * HOW: seen, unseen (by calls of its own), inherited (entered before the program is started once more), none.
 */
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FEW = 3, MANY = 200 };

pthread_key_t request_key;
static int are_ended, are_living, right;
static pthread_barrier_t all;

static void *look(void *unused)
{
    if (pthread_getspecific(request_key))
        __atomic_add_fetch(&right, 1, __ATOMIC_RELAXED);
    if (are_living)
        pthread_barrier_wait(&all);
    if (are_ended)
        syscall(SYS_exit, 0);
    return unused;
}

static int enter(const char *how)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_futex, 0, 5),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[1])),
        BPF_STMT(BPF_ALU | BPF_AND | BPF_K, FUTEX_CMD_MASK & 127),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, FUTEX_LOCK_PI, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, FUTEX_TRYLOCK_PI, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};

    if (!strcmp(how, "unseen"))
        return syscall(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
               syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) != 0;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0;
}

int main(int argc, char **argv)
{
    const char *how = argc > 2 ? argv[1] : "none";
    static pthread_t threads[MANY];
    int count = argc > 2 && strcmp(argv[2], "few") ? MANY : FEW;

    are_living = argc > 2 && !strcmp(argv[2], "living");
    are_ended = argc > 2 && !strcmp(argv[2], "ended");
    pthread_key_create(&request_key, NULL);
    pthread_setspecific(request_key, how);
    if (strcmp(how, "none") && enter(how))
        return 77;
    if (!strcmp(how, "inherited")) {
        execl("/proc/self/exe", argv[0], "none", argv[2], (char *)NULL);
        return 1;
    }
    pthread_barrier_init(&all, NULL, MANY + 1);
    for (int i = 0; i < count; i++)
        if (pthread_create(&threads[i], NULL, look, NULL) != 0)
            return 1;
        else if (!are_living)
            pthread_join(threads[i], NULL);
    if (are_living)
        pthread_barrier_wait(&all);
    for (int i = 0; are_living && i < count; i++)
        pthread_join(threads[i], NULL);
    printf("%d of %d saw it\n", right, count);
    return 0;
}
