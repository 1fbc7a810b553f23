/* Hands work to threads, and ends in ways that pass no exit. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static __thread int request_id;

static void *run(void *data)
{
    if (request_id != *(int *)data)
        puts("wrong");
    return NULL;
}

static void hand_over(int times)
{
    for (int i = 1; i <= times; i++) {
        pthread_t thread;
        int expected = i;

        request_id = i;
        pthread_create(&thread, NULL, run, &expected);
        pthread_join(thread, NULL);
    }
}

static void *wait_all(void *barrier)
{
    pthread_barrier_wait(barrier);
    return NULL;
}

/* Many threads at a time. */
static void crowd(void)
{
    enum { COUNT = 100 };
    pthread_t threads[COUNT];
    pthread_barrier_t barrier;

    pthread_barrier_init(&barrier, NULL, COUNT);
    for (int i = 0; i < COUNT; i++)
        pthread_create(&threads[i], NULL, wait_all, &barrier);
    for (int i = 0; i < COUNT; i++)
        pthread_join(threads[i], NULL);
    raise(SIGKILL);
}

static void in_child(int times)
{
    pid_t child = fork();

    if (child == 0) {
        hand_over(times);
        raise(SIGKILL);
    }
    waitpid(child, NULL, 0);
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";

    hand_over(7);
    puts("up");
    fflush(stdout);
    if (!strcmp(how, "kill"))
        raise(SIGKILL);
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "_exit"))
        _exit(3);
    if (!strcmp(how, "fork"))
        in_child(3);
    if (!strcmp(how, "crowd"))
        crowd();
    if (!strcmp(how, "idle child"))
        in_child(0);
    if (!strcmp(how, "wait")) {
        getchar();
        hand_over(5);
        puts("more");
        fflush(stdout);
        getchar();
    }
    hand_over(2);
    return 0;
}
