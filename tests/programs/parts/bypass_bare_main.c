/* Two plugins by bare name, from a library with a search path of its own; 100 tasks read by them. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

void *opener_open(const char *name);

typedef void *reader(pthread_key_t key);
pthread_key_t request_key;
static reader *readers[4];
static long wrong;

static void *task(void *data)
{
    for (int i = 0; i < 4; i++)
        wrong += readers[i](request_key) != data;
    return NULL;
}

int main(int argc, char **argv)
{
    void *plugins[2];
    pthread_key_create(&request_key, NULL);
    for (int i = 0; i < 2; i++) {
        plugins[i] = opener_open(argv[1 + i]);
        if (!plugins[i]) {
            fprintf(stderr, "%s\n", dlerror());
            return 2;
        }
    }
    /* Both are open before anything is looked up, first in the one opened last, and in others. */
    if (!dlsym(dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD), "getpid") || dlerror())
        return 2;
    for (int i = 1; i >= 0; i--) {
        readers[2 * i] = (reader *)dlsym(plugins[i], "bare_read");
        readers[2 * i + 1] = (reader *)dlvsym(plugins[i], "bare_thread", "NONE");
        if (!readers[2 * i + 1] && dlerror())
            readers[2 * i + 1] = (reader *)dlsym(plugins[i], "bare_thread");
    }
    for (long i = 1; i <= 100; i++) {
        pthread_t thread;
        pthread_setspecific(request_key, (void *)i);
        if (pthread_create(&thread, NULL, task, (void *)i))
            abort();
        pthread_join(thread, NULL);
    }
    printf("wrong: %ld of 400\n", wrong);
    return wrong != 0;
}
