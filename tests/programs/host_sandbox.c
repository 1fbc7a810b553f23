/*
 * Shuts itself in, or uses up its memory, and only then makes its first call of a kind:
 *     host_sandbox HOW CALL
 * HOW: strict (read, write, exit only), filter (what these calls themselves need), memory (RLIMIT_AS).
 * CALL: jump, key, get, set, symbol, wake; thread and task (filter and memory only): a thread says what it sees.
 */
#define _GNU_SOURCE // RTLD_DEFAULT, RTLD_NEXT, before glibc 2.36
#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

pthread_key_t request_key;
__thread long request_word;
static jmp_buf place;

static void say(const char *text)
{
    (void)!write(1, text, strlen(text));
}

static void shut_in(void)
{
    static const unsigned allowed[] = {
        SYS_exit, SYS_exit_group, SYS_write, SYS_mmap, SYS_mprotect, SYS_munmap, SYS_madvise, SYS_futex,
        SYS_clone3, SYS_clone, SYS_set_robust_list, SYS_rseq, SYS_rt_sigaction, SYS_getrandom, SYS_rt_sigprocmask, SYS_brk, SYS_rt_sigreturn};
    struct sock_filter filter[2 * sizeof allowed / sizeof *allowed + 2];
    struct sock_fprog program = {0, filter};

    filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                                         offsetof(struct seccomp_data, nr));
    for (unsigned i = 0; i < sizeof allowed / sizeof *allowed; i++) {
        filter[program.len++] =
            (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, allowed[i], 0, 1);
        filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    }
    filter[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        _exit(77);
}

static void use_up_memory(void)
{
    struct rlimit limit = {64 << 20, 64 << 20};

    setrlimit(RLIMIT_AS, &limit);
    for (size_t size = 1 << 20; size >= 4096; size /= 2) {
        while (mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
            ;
    }
}

static void *look(void *unused)
{
    say(request_word == 42 ? "word carried\n" : "word empty\n");
    say(pthread_getspecific(request_key) ? "key carried\n" : "key empty\n");
    return NULL;
}

int main(int argc, char **argv)
{
    const char *how = argv[1], *call = argv[2];
    pthread_t thread;
    int error;

    request_word = 42;
    if (strcmp(call, "key") != 0 && strcmp(call, "thread") != 0) /* a key that was made in time */
        pthread_key_create(&request_key, NULL);
    if (!strcmp(how, "strict") && prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
        return 77;
    if (!strcmp(how, "filter"))
        shut_in();
    if (!strcmp(how, "memory"))
        use_up_memory();
    if (!strcmp(call, "jump")) {
        if (!setjmp(place))
            longjmp(place, 1);
        say("jumped\n");
    } else if (!strcmp(call, "key")) {
        say(pthread_key_create(&request_key, NULL) == 0 ? "made\n" : "failed\n");
        say(pthread_setspecific(request_key, &place) == 0 ? "set\n" : "failed\n");
    } else if (!strcmp(call, "get")) {
        say(pthread_getspecific(request_key) ? "something\n" : "nothing\n");
    } else if (!strcmp(call, "set")) {
        say(pthread_setspecific(request_key, &place) == 0 ? "set\n" : "failed\n");
    } else if (!strcmp(call, "wake")) { /* nobody waits: neither do these ask the system */
        static pthread_cond_t cond = PTHREAD_COND_INITIALIZER;
        static sem_t sem;
        int posted = sem_post(&sem), taken = sem_wait(&sem);
        say(posted == 0 && taken == 0 && pthread_cond_signal(&cond) == 0 ? "woken\n" : "failed\n");
    } else if (!strcmp(call, "symbol")) {
        say(dlsym(RTLD_DEFAULT, "pthread_getspecific") ? "found\n" : "not found\n");
    } else {
        pthread_setspecific(request_key, &place);
        error = pthread_create(&thread, NULL, look, NULL);
        if (error)
            say(error == EAGAIN || error == ENOMEM ? "no thread\n" : "another error\n");
        else
            pthread_join(thread, NULL);
    }
    say("lived\n");
    syscall(SYS_exit, 0);
}
