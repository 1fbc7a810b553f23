/* Hands one thing over, then ends as it is told to, without destructors; by a child first where that is asked for. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

pthread_key_t request_key;

__attribute__((noinline)) void never_called(void (*function)(void *), void *arg)
{
    function(arg);
}

static void *work(void *arg)
{
    return arg;
}

static void leave(const char *how)
{
    if (!strcmp(how, "_exit"))
        _exit(0);
    if (!strcmp(how, "_Exit"))
        _Exit(0);
    if (!strcmp(how, "quick_exit"))
        quick_exit(0);
    exit(0);
}

int main(int argc, char **argv)
{
    pthread_t thread;

    pthread_key_create(&request_key, 0);
    pthread_setspecific(request_key, &request_key);
    pthread_create(&thread, 0, work, 0);
    pthread_join(thread, 0);
    if (argc > 9)
        never_called((void (*)(void *))work, 0);
    if (argc > 2) { /* a child first */
        pid_t child = !strcmp(argv[2], "vfork") ? vfork() : fork();
        int status = 1;

        if (child == 0)
            _exit(0);
        waitpid(child, &status, 0);
        kill(getpid(), status || argc > 3 ? 9 : 0);
    }
    puts("ended");
    fflush(stdout);
    leave(argv[1]);
}
