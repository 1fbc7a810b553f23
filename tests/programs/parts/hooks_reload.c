/* Opens and closes a plugin again and again, each time somewhere else. usage: hooks_reload PLUGIN */
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { ROUNDS = 400, TASKS = 5 };

pthread_key_t request_key;
static int ran, wrong;

static void task(void *argument)
{
    if (pthread_getspecific(request_key) != argument)
        __atomic_add_fetch(&wrong, 1, __ATOMIC_RELAXED);
    __atomic_add_fetch(&ran, 1, __ATOMIC_RELAXED);
    pthread_setspecific(request_key, (void *)90000L);
}

int main(int argc, char **argv)
{
    void *last = NULL;
    int moves = 0;
    pthread_key_create(&request_key, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
        if (!plugin) {
            fprintf(stderr, "%s\n", dlerror());
            return 2;
        }
        void (*start)(int) = dlsym(plugin, "call_start");
        int (*submit)(void *, void (*)(void *), void *) = dlsym(plugin, "call_submit");
        void (*stop)(void) = dlsym(plugin, "call_stop");
        moves += (void *)stop != last;
        last = (void *)stop;
        start(1);
        for (long i = 1; i <= TASKS; i++) {
            pthread_setspecific(request_key, (void *)i);
            submit(NULL, task, (void *)i);
        }
        pthread_setspecific(request_key, NULL);
        stop();
        dlclose(plugin);
        for (int i = 0; i < 4; i++) /* takes the place */
            mmap(NULL, 0x5000, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    }
    printf("ran %d wrong %d%s\n", ran, wrong, moves > ROUNDS / 2 ? ", moved" : "");
    return wrong != 0;
}
