/*
 * Functions that are called with values, and answer them, which may be no objects: they look behind none.
 * usage: hooks_values WORD|VALUE...   put hand hand2 run post none good; a value goes to all of them
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HERE __attribute__((noinline, noclone))
#define BODY __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::"r"(value) : "memory")

struct object {
    void *first;
    struct object *next;
    void (*run)(void *);
};

pthread_key_t request_key;

HERE void value_submit(void *value)
{
    BODY;
}

HERE void value_list(void *value)
{
    BODY;
}

HERE void value_run(void *value)
{
    BODY;
}

HERE void value_away(void *value)
{
    BODY;
}

HERE void *value_get(void *value)
{
    BODY;
    return value;
}

HERE void value_into(void *value)
{
    BODY;
}

HERE void value_queue(void *value)
{
    BODY;
}

HERE void value_hand(void *value)
{
    BODY;
}

HERE void value_put(void *value)
{
    BODY;
}

HERE void value_post(void *value)
{
    BODY;
}

static void all(void *value)
{
    value_submit(value);
    value_list(value);
    value_run(value);
    value_away(value);
    value_get(value);
    value_into(value);
    value_queue(value);
}

static void nothing(void *object)
{
    (void)object;
}

int main(int argc, char **argv)
{
    static struct object objects[3] = {{&objects[0], &objects[1], nothing},
                                       {&objects[1], NULL, nothing},
                                       {&objects[2], &objects[2], nothing}};

    pthread_key_create(&request_key, NULL);
    pthread_setspecific(request_key, &request_key);
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "put"))
            value_put(&objects[0]);
        else if (!strcmp(argv[i], "hand"))
            value_hand(&objects[0]);
        else if (!strcmp(argv[i], "hand2"))
            value_hand(&objects[1]);
        else if (!strcmp(argv[i], "run"))
            value_run(&objects[2]);
        else if (!strcmp(argv[i], "post"))
            value_post(&objects[0]);
        else if (!strcmp(argv[i], "none"))
            value_post(NULL);
        else if (!strcmp(argv[i], "good"))
            all(&objects[0]);
        else
            all((void *)strtoul(argv[i], NULL, 0));
    }
    puts("done");
    return 0;
}
