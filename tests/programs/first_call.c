// The first handoff comes late: after the environment was overwritten, in a fork's child, in a signal
// handler, or when everything has ended.
// usage: first_call environ|fork|signal|exit
#include "carrier.h"
#include <signal.h>
#include <sys/wait.h>

extern char **environ;
static const char *mode = "";

static void *body(void *seen)
{
    *(long *)seen = current();
    return NULL;
}

static long in_thread(long value)
{
    pthread_t thread;
    long seen = -1;
    set_current(value);
    if (pthread_create(&thread, NULL, body, &seen) != 0)
        return -2;
    pthread_join(thread, NULL);
    set_current(0);
    return seen;
}

/* As setproctitle does, and what a program tells others is not for itself. */
static void overwrite_environment(void)
{
    for (char **entry = environ; *entry; entry++)
        memset(*entry, 'x', strlen(*entry));
    environ = NULL;
    setenv("BATON_CARRY", "key:nothing_of_this_name", 1);
}

static void handler(int number)
{
    pthread_getspecific(request_key);
}

/* Registered before the loader's own: runs after every destructor. */
static void after_all(void)
{
    char text[] = "thread after all destructors ran: ?\n";
    if (!strcmp(mode, "exit")) {
        text[sizeof(text) - 3] = '0' + (in_thread(5) >= 0);
        if (write(1, text, sizeof(text) - 1) < 0)
            _exit(3);
    }
}

static void preinit(int argc, char **argv, char **environment)
{
    atexit(after_all);
}
__attribute__((section(".preinit_array"), used)) static void (*preinit_entry)(int, char **,
                                                                              char **) = preinit;

int main(int argc, char **argv)
{
    mode = argc > 1 ? argv[1] : "";
    carrier = CARRIER_TLS;
    if (!strcmp(mode, "exit"))
        return 0;
    if (!strcmp(mode, "fork")) {
        pid_t pid = fork();
        int status;
        if (pid == 0) {
            printf("the child's thread sees %ld\n", in_thread(6));
            fflush(stdout);
            _exit(0);
        }
        waitpid(pid, &status, 0);
    }
    if (!strcmp(mode, "environ"))
        overwrite_environment();
    if (!strcmp(mode, "signal")) {
        signal(SIGUSR1, handler);
        raise(SIGUSR1);
    }
    expect("the thread sees", in_thread(7), 7);
    return wrong_results != 0;
}
