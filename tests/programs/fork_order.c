/*
 * What may wait for what at a fork:
 *     fork_order library [FORKS]   a library's handlers, registered in its constructor, take the lock under which another
 *                                  thread hands work over
 *     fork_order signal [FORKS]    a handler forks wherever it interrupts a thread that keeps handing over
 */
// parts: parts/fork_order_library.c
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

void library_start_and_join(void *(*run)(void *), void *argument);

pthread_key_t request_key;
__thread long request_word;
static volatile int is_over;
static volatile sig_atomic_t forks;

static void *nothing(void *argument)
{
    return argument;
}

static void *hand_over(void *unused)
{
    for (long i = 1; !is_over; i++) {
        request_word = i;
        pthread_setspecific(request_key, (void *)i);
        library_start_and_join(nothing, NULL);
    }
    return unused;
}

static void fork_once(void)
{
    pid_t child = fork();

    if (!child)
        _exit(0);
    if (child > 0)
        waitpid(child, NULL, 0);
}

static void on_alarm(int number)
{
    struct itimerval next = {{0, 0}, {0, 100 + rand() % 300}};

    (void)number;
    fork_once();
    forks++;
    setitimer(ITIMER_REAL, &next, NULL);
}

int main(int argc, char **argv)
{
    int wanted = argc > 2 ? atoi(argv[2]) : 150;
    pthread_t thread;

    pthread_key_create(&request_key, NULL);
    if (argc > 1 && !strcmp(argv[1], "library")) {
        pthread_create(&thread, NULL, hand_over, NULL);
        for (int i = 0; i < wanted; i++)
            fork_once();
        is_over = 1;
        pthread_join(thread, NULL);
    } else {
        struct itimerval soon = {{0, 0}, {0, 300}};
        pthread_key_t keys[8];

        signal(SIGALRM, on_alarm);
        setitimer(ITIMER_REAL, &soon, NULL);
        for (long i = 1; forks < wanted; i++) {
            for (int k = 0; k < 8; k++)
                pthread_key_create(&keys[k], free);
            pthread_setspecific(request_key, (void *)i);
            request_word = i;
            for (int k = 0; k < 8; k++)
                pthread_key_delete(keys[k]);
        }
    }
    puts("done");
    return 0;
}
