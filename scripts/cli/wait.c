/*
 * Staying while the program runs, so that its run can be told about: the program is a child, and what
 * happens to us happens to it. Our end is the same as its: the same status, the same signal.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"

static volatile sig_atomic_t child;

/* What the terminal sends to all of us reaches the program by itself, as what the program sends to its group does; what a
 * supervisor sends (KillSignal=SIGINT) does not. A terminal that is gone tells its first process alone. */
static void pass_on(int number, siginfo_t *info, void *unused)
{
    (void)unused;
    if (child > 0 && (info->si_code == SI_KERNEL ? number == SIGHUP : info->si_pid != (pid_t)child))
        kill((pid_t)child, number);
}

static void watch_signals(void)
{
    static const int passed[] = {SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGINT, SIGQUIT, SIGWINCH};
    struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_RESTART | SA_SIGINFO};
    struct sigaction before;

    for (unsigned i = 0; i < sizeof passed / sizeof *passed; i++) {
        if (sigaction(passed[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(passed[i], &action, NULL);
    }
}

int wait_for_child(int (*become)(char **argv), char **argv)
{
    sigset_t all, before;
    int status;
    pid_t pid;

    /* No signal is lost or taken by the wrong one while there are two of us and one does not know it yet. */
    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid = fork();
    if (pid < 0)
        fail(EXIT_FAILED, "cannot start a process");
    if (pid == 0) {
        sigprocmask(SIG_SETMASK, &before, NULL);
        _exit(become(argv));
    }
    child = pid;
    watch_signals();
    sigprocmask(SIG_SETMASK, &before, NULL);
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR)
            fail(EXIT_FAILED, "cannot wait for the program");
    }
    child = 0;
    /* Who ended the program by the terminal still wants to know what came of it. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    return status;
}

void end_as(int status)
{
    struct rlimit none = {0, 0};

    if (!WIFSIGNALED(status))
        exit(WEXITSTATUS(status));
    /* The program has left its core already. */
    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
    signal(WTERMSIG(status), SIG_DFL);
    kill(getpid(), WTERMSIG(status));
    exit(128 + WTERMSIG(status));
}

int become_program(char **argv)
{
    int error;

    /* The name as typed, so that the program's argv[0] is what it would be without us. */
    execvp(argv[0], argv);
    error = errno;
    say("%s: cannot be run: %s", clean(argv[0]), strerror(error));
    return error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
}
