/*
 * Thread after thread, so many; the value is behind a getter and a setter. `grows`: the getter loses
 * a page in each call, and nothing but who hands over calls it; `both`: so does the program itself, once for each thread.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Thread_local void *current;
static int is_losing;

static void lose(void)
{
    char *page = malloc(4096);

    if (page)
        memset(page, 1, 4096);
    __asm__ volatile("" : : "r"(page) : "memory");
}

void *losing_get(void)
{
    if (is_losing)
        lose();
    return current;
}

void losing_set(void *value)
{
    current = value;
}

static void *body(void *seen)
{
    *(void **)seen = current;
    return NULL;
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "flat";
    long count = argc > 2 ? atol(argv[2]) : 100, wrong = 0;

    is_losing = !strcmp(how, "grows");
    for (long i = 0; i < count; i++) {
        pthread_t thread;
        void *seen = NULL;

        losing_set(argv);
        if (pthread_create(&thread, NULL, body, &seen))
            return 2;
        pthread_join(thread, NULL);
        wrong += seen != argv;
        if (!strcmp(how, "both"))
            lose();
    }
    printf("wrong %ld\n", wrong);
    return wrong != 0;
}
