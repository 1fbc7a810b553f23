// Loads plugins with RTLD_LOCAL, while it runs, runs each, unloads them and loads them again.
// link: -ldl
// usage: plugin_host [--dlmopen] PLUGIN...
#define _GNU_SOURCE // dlmopen
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>

int main(int argc, char **argv)
{
    int wrong = 0, by_list = argc > 1 && !strcmp(argv[1], "--dlmopen");
    argc -= by_list;
    argv += by_list;
    for (int round = 0; round < 3; round++) {
        void *handles[8] = {NULL};
        for (int i = 1; i < argc && i < 8; i++) {
            handles[i] = by_list ? dlmopen(LM_ID_BASE, argv[i], RTLD_NOW | RTLD_LOCAL)
                                 : dlopen(argv[i], RTLD_NOW | RTLD_LOCAL);
            if (!handles[i]) {
                fprintf(stderr, "%s\n", dlerror());
                return 2;
            }
        }
        for (int i = 1; i < argc && i < 8; i++) {
            int (*run)(const char *, long) =
                (int (*)(const char *, long))dlsym(handles[i], "plugin_run");
            const char *slash = strrchr(argv[i], '/');
            wrong += run(slash ? slash + 1 : argv[i], 100 * (round + 1) + 10 * i);
        }
        for (int i = 1; i < argc && i < 8; i++)
            dlclose(handles[i]);
    }
    puts(wrong ? "WRONG" : "RIGHT");
    return wrong != 0;
}
