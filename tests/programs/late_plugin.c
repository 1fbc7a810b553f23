// A plugin that comes after hundreds of handoffs: what is in it is found all the same.
// link: -ldl
// flags: -D_GNU_SOURCE
// usage: late_plugin PLUGIN [deep]
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>

static void *body(void *argument)
{
    return argument;
}

int main(int argc, char **argv)
{
    for (int i = 0; i < 300; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, body, NULL);
        pthread_join(thread, NULL);
    }
    void *plugin = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL | (argc > 2 ? RTLD_DEEPBIND : 0));
    int (*run)(const char *, long) = plugin ? (int (*)(const char *, long))dlsym(plugin, "plugin_run") : NULL;
    if (!run) {
        fprintf(stderr, "%s\n", dlerror());
        return 2;
    }
    return run("plugin", 7);
}
