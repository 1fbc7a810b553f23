// A program of C that opens a plugin of Qt for itself alone: its thread sees what its maker has set in the plugin.
// usage: qt_local PLUGIN
#include <dlfcn.h>
#include "carrier.h"

static void (*set)(long number);
static long (*get)(void);

static void *look(void *unused)
{
    expect("thread", get(), 42);
    set(7);
    return unused;
}

int main(int argc, char **argv)
{
    void *plugin = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    pthread_t thread;

    if (!plugin) {
        fprintf(stderr, "usage: qt_local PLUGIN\n%s\n", argc > 1 ? dlerror() : "");
        return 2;
    }
    set = (void (*)(long))dlsym(plugin, "plugin_set");
    get = (long (*)(void))dlsym(plugin, "plugin_get");
    set(42);
    pthread_create(&thread, NULL, look, NULL);
    pthread_join(thread, NULL);
    expect("maker", get(), 42);
    dlclose(plugin);
    return verdict();
}
