/*
 * Two plugins at once, opened past everybody, each with a library of its own that has a function of one name; the
 * program may have one, too. Each plugin calls its own, and so does who looks it up in the plugin's handle.
 */
#include <dlfcn.h>
#include <stdio.h>

#ifdef OWN_LIBRARY
extern int which;
#endif

static void body(void *ran)
{
    ++*(int *)ran;
}

int main(int argc, char **argv)
{
    void *plugins[2];
#ifdef OWN_LIBRARY
    printf("of the program: library %d\n", which);
#endif
    for (int i = 0; i < 2; i++) {
        plugins[i] = dlopen(argv[i + 1], (i ? RTLD_LAZY : RTLD_NOW) | RTLD_LOCAL | RTLD_DEEPBIND);
        if (!plugins[i]) {
            fprintf(stderr, "%s\n", dlerror());
            return 2;
        }
    }
    for (int i = 0; i < 2; i++) {
        int ran = 0;
        int (*run)(int *) = (int (*)(int *))dlsym(plugins[i], "plugin_run");
        void (*parallel)(void (*)(void *), void *, unsigned, unsigned) = (void (*)(
            void (*)(void *), void *, unsigned, unsigned))dlsym(plugins[i], "GOMP_parallel");
        int *library = dlsym(plugins[i], "which");
        printf("plugin %d calls library %d", i, run(&ran));
        *library = 0;
        parallel(body, &ran, 1, 0);
        printf(", looked up in it: library %d, ran %d\n", *library, ran);
    }
    return 0;
}
