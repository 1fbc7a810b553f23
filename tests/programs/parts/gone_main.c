/* Opens plugin after plugin, each where the last one was. */
#include <dlfcn.h>
#include <stdio.h>

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        int ran = 0;
        void *plugin = dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
        int (*run)(int *) = plugin ? (int (*)(int *))dlsym(plugin, "plugin_run") : NULL;
        if (!run) {
            fprintf(stderr, "%s\n", dlerror());
            return 2;
        }
        int which = run(&ran);
        printf("plugin %d calls library %d, ran %d\n", i, which, ran);
        dlclose(plugin);
    }
    return 0;
}
