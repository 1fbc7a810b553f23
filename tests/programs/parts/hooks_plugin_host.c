/* Opens two plugins that define the same names. usage: hooks_plugin_host LIBRARY... */
#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

pthread_key_t request_key;
static int ran, wrong[3], stage;

void plugin_set(long number)
{
    pthread_setspecific(request_key, (void *)number);
}

int plugin_ran(void)
{
    return __atomic_load_n(&ran, __ATOMIC_ACQUIRE);
}

void plugin_see(void *number)
{
    if (pthread_getspecific(request_key) != number)
        __atomic_add_fetch(&wrong[stage], 1, __ATOMIC_RELAXED);
    pthread_setspecific(request_key, (void *)90000);
    __atomic_add_fetch(&ran, 1, __ATOMIC_RELEASE);
}

typedef int submit_function(void *pool, void (*function)(void *), void *argument);

static void submit_100(submit_function *submit, int here)
{
    int before = plugin_ran();
    stage = here;
    for (long i = 1; i <= 100; i++) {
        plugin_set(i);
        submit(NULL, plugin_see, (void *)i);
    }
    plugin_set(0);
    while (plugin_ran() < before + 100)
        sched_yield();
}

int main(int argc, char **argv)
{
    pthread_key_create(&request_key, NULL);
    for (int i = 1; i < argc; i++) {
        stage = 0;
        ran = 0;
        void *library = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        if (!library) {
            puts(dlerror());
            return 2;
        }
        submit_100((submit_function *)dlsym(library, "call_submit"), 1);
        submit_100(*(submit_function **)dlsym(library, "plugin_table"), 2);
        ((void (*)(void))dlsym(library, "call_stop"))();
    }
    printf("constructor %d dlsym %d table %d\n", wrong[0], wrong[1], wrong[2]);
    return wrong[0] + wrong[1] + wrong[2] != 0;
}
