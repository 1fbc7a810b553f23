// A program of C that opens a plugin of Qt for itself alone: its thread sees what its maker has set in the plugin.
// With two, of Qt 5 and 6, there are two Qts in the process.
// usage: qt_local PLUGIN [PLUGIN]
#include <dlfcn.h>
#include "carrier.h"

enum { PLUGINS = 2, ROUNDS = 8 };

static struct {
    void *handle;
    void (*set)(long number);
    long (*get)(void);
} plugins[PLUGINS];
static int count;

static void *look(void *round)
{
    for (int i = 0; i < count; i++) {
        expect("thread", plugins[i].get(), 42 + i + *(int *)round);
        plugins[i].set(7);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int rounds = argc > PLUGINS ? ROUNDS : 1;

    for (; count < argc - 1 && count < PLUGINS; count++) {
        void *handle = dlopen(argv[1 + count], RTLD_NOW | RTLD_LOCAL);

        if (!handle) {
            fprintf(stderr, "%s\n", dlerror());
            return 2;
        }
        plugins[count].handle = handle;
        plugins[count].set = (void (*)(long))dlsym(handle, "plugin_set");
        plugins[count].get = (long (*)(void))dlsym(handle, "plugin_get");
    }
    if (!count) {
        fprintf(stderr, "usage: qt_local PLUGIN [PLUGIN]\n");
        return 2;
    }
    for (int round = 0; round < rounds; round++) {
        pthread_t thread;

        for (int i = 0; i < count; i++)
            plugins[i].set(42 + i + round);
        pthread_create(&thread, NULL, look, &round);
        pthread_join(thread, NULL);
        for (int i = 0; i < count; i++)
            expect("maker", plugins[i].get(), 42 + i + round);
    }
    while (count)
        dlclose(plugins[--count].handle);
    return verdict();
}
