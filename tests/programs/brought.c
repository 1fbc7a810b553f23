// An adapter that waits for a plugin brings GLib, for which the program has asked in vain just before, and hands over its tasks.
// link: -rdynamic -ldl
// usage: brought PLUGIN
#define _GNU_SOURCE // RTLD_DEFAULT, before glibc 2.36
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

__thread long request_word;
int (*brought_run)(void (*task)(long), void (*before)(long),
                   int tasks); /* set by the library when it comes */

static int right;

static void begin(long number)
{
    request_word = number;
}

static void look(long number)
{
    right += request_word == number;
}

static void *nothing(void *unused)
{
    return unused;
}

int main(int argc, char **argv)
{
    pthread_t thread;

    if (!dlopen(argv[1], RTLD_NOW | RTLD_GLOBAL))
        return 4;
    if (!brought_run && dlsym(RTLD_DEFAULT, "g_thread_pool_push"))
        return 5;
    if (pthread_create(&thread, NULL, nothing, NULL) ||
        pthread_join(thread, NULL)) /* what waits is looked for again */
        return 6;
    if (!brought_run) {
        puts("nothing has come");
        return 1;
    }
    if (brought_run(look, begin, 4))
        return 3;
    printf("%d of 4 right\n", right);
    return right != 4;
}
