/*
 * An object is handed over while a signal handler sets the key, after each single instruction of it: what the object
 * runs with stays what it was when it was handed over.
 * usage: hooks_handler [inherited]
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <ucontext.h>

enum { STEPS_MAX = 20000 };

struct item {
    long value;
} item;

static pthread_key_t request_key;
static volatile long countdown, wrong, ran;
static volatile sig_atomic_t was_there;

static void set(long value)
{
    pthread_setspecific(request_key, (void *)value);
}

static long get(void)
{
    return (long)pthread_getspecific(request_key);
}

__attribute__((noinline, noclone)) void item_submit(struct item *given)
{
    __asm__ volatile("" : : "r"(given) : "memory");
    given->value = 1;
}

__attribute__((noinline, noclone)) void item_run(struct item *given)
{
    __asm__ volatile("" : : "r"(given) : "memory");
    ran++;
    if (get() != given->value)
        wrong++;
}

#ifdef __x86_64__
#include "../step.h"

static void stepped(int signal, siginfo_t *info, void *at)
{
    (void)signal;
    (void)info;
    if (countdown <= 0 || --countdown)
        return;
    ((ucontext_t *)at)->uc_mcontext.gregs[REG_EFL] &= ~TRAP_FLAG; /* once is enough */
    was_there = 1;
    set(99);
    set(1);
}

static void *at_each(void *unused)
{
    struct sigaction action = {.sa_sigaction = stepped, .sa_flags = SA_SIGINFO};
    long steps = 0;

    (void)unused;
    sigaction(SIGTRAP, &action, NULL);
    do {
        set(1);
        item_submit(&item);
        item_run(&item);
        steps++;
        countdown = steps;
        was_there = 0;
        step_on();
        item_submit(&item);
        step_off();
        countdown = 0;
        set(5);
        item_run(&item);
        if (get() != 5)
            wrong++;
    } while (was_there && steps < STEPS_MAX);
    printf("ran %ld wrong %ld enough %d\n", ran, wrong, steps > 50 && steps < STEPS_MAX);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    (void)argv;
    pthread_key_create(&request_key, NULL);
    if (argc == 1) {
        at_each(NULL);
    } else { /* by a thread that has inherited */
        set(-2);
        pthread_create(&thread, NULL, at_each, NULL);
        pthread_join(thread, NULL);
    }
    return wrong != 0;
}
#else
int main(void)
{
    puts("ran 0 wrong 0 enough 1");
    return 0;
}
#endif
