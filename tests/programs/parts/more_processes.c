// Starts a thread in two ways, twice, and a process, and says what each call answered.
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/wait.h>
#include <threads.h>
#include <unistd.h>

pthread_key_t request_key;

static void *work(void *arg)
{
    return arg;
}

static int work_c11(void *arg)
{
    return arg != NULL;
}

static int start(void)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, work, NULL);

    if (!error)
        pthread_join(thread, NULL);
    return error;
}

int main(void)
{
    int first, second, c11, process = 0;
    thrd_t thread;
    pid_t child;

    pthread_key_create(&request_key, NULL);
    pthread_setspecific(request_key, &request_key);
    first = start();
    second = start();
    c11 = thrd_create(&thread, work_c11, NULL);
    if (c11 == thrd_success)
        thrd_join(thread, NULL);
    child = fork();
    if (child < 0)
        process = errno;
    else if (child == 0)
        _exit(0);
    else
        waitpid(child, NULL, 0);
    printf("thread %d %d, thrd %d, process %d\n", first, second, c11, process);
    return pthread_getspecific(request_key) != &request_key;
}
