// Preloaded: where the first argument has commas, main runs for each word that ends with one, each in a child of the one
// process, and the worst exit is the program's. Valgrind, which is dear to start, is started once for modes of a program.
#define _GNU_SOURCE // RTLD_DEFAULT, RTLD_NEXT, before glibc 2.36
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef int main_function(int, char **, char **);

static main_function *once;

static int in_turn(int argc, char **argv, char **environment)
{
    int worst = 0;
    for (char *mode = strtok(argv[1], ","); mode; mode = strtok(NULL, ",")) {
        char *words[] = {argv[0], mode, argc > 2 ? argv[2] : NULL, NULL};
        int status = -1;
        fflush(stdout);
        pid_t child = fork();
        if (child == 0)
            exit(once(argc > 2 ? 3 : 2, words, environment));
        waitpid(child, &status, 0);
        status = WIFEXITED(status) ? WEXITSTATUS(status) : 128;
        printf("%s: exit %d\n", mode, status);
        worst = status > worst ? status : worst;
    }
    return worst;
}

int __libc_start_main(main_function *main, int argc, char **argv, main_function *init, void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    int (*real)(main_function *, int, char **, main_function *, void (*)(void), void (*)(void), void *);
    *(void **)&real = dlsym(RTLD_NEXT, "__libc_start_main");
    once = main;
    return real(argc > 1 && strchr(argv[1], ',') ? in_turn : main, argc, argv, init, fini, rtld_fini, stack_end);
}
