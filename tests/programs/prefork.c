// promise: five children of fork, made before anything is handed over, start a thread each; all end well
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *nothing(void *unused)
{
    return unused;
}

int main(void)
{
    int status, ended = 0;
    pthread_t thread;

    for (int i = 0; i < 5; i++) {
        if (fork() == 0) {
            if (pthread_create(&thread, NULL, nothing, NULL) != 0)
                _exit(1);
            pthread_join(thread, NULL);
            exit(0);
        }
    }
    while (wait(&status) > 0)
        ended += status == 0;
    return ended != 5;
}
