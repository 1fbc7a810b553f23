// A thread that begins with nothing ends what it has set at its own end, however many keys the program has taken first.
// flags: -Iinclude
// usage: many_keys few|many
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <threads.h>
#include "baton.h"

enum { KEYS = 40, THREADS = 6 };

static pthread_key_t keys[KEYS];

__attribute__((constructor)) static void take_keys(int argc, char **argv)
{
    for (int i = 0; argc > 1 && !strcmp(argv[1], "many") && i < KEYS; i++)
        pthread_key_create(&keys[i], NULL);
}

static baton_var *request;
static int ended;

static void end(void *value)
{
    ended += value == &request;
}

static void *returns(void *unused)
{
    baton_set(request, &request, NULL);
    return unused;
}

static void *exits(void *unused)
{
    returns(unused);
    pthread_exit(NULL);
}

static int returns_c11(void *unused)
{
    returns(unused);
    return 0;
}

int main(void)
{
    void *(*const ways[])(void *) = {returns, exits};
    int seen = 0;
    request = baton_var_new("request", NULL, end);
    for (int i = 0; i < THREADS; i++) {
        pthread_t thread;
        thrd_t c11;
        if (i % 3 < 2) {
            pthread_create(&thread, NULL, ways[i % 3], NULL);
            pthread_join(thread, NULL);
        } else {
            thrd_create(&c11, returns_c11, NULL);
            thrd_join(c11, NULL);
        }
        seen += ended == i + 1;
    }
    printf("%d of %d threads have ended what they set\n", seen, THREADS);
    return seen != THREADS;
}
