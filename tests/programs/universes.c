// Five tasks on one thread, each in a universe of its own; each destroys a copy of it: the same lines as universes.py.
// flags: -Iinclude
#include "baton.h"
#include <stdio.h>
#include <string.h>

enum { TASKS = 5, STEPS = 4 };

static baton_var *universe;
static const char *const names[TASKS] = {"Ada", "Ben", "Cyd", "Dov", "Eva"};

/* A task: the loop runs one step of each in turn, in the task's own context. */
struct task {
    const char *name;
    int step;
    char home[64];
    baton_token token;
    baton_context *context, *picture;
};

static const char *here(void)
{
    return (const char *)baton_get(universe);
}

static void destroy(void *name)
{
    printf("%s looks into the picture: %s\n", (char *)name, here());
    baton_set(universe, (void *)"dust", NULL);
    printf("%s has burnt it: %s\n", (char *)name, here());
}

static void live(void *argument)
{
    struct task *task = (struct task *)argument;
    void *shown = NULL;
    switch (task->step++) {
    case 0:
        snprintf(task->home, sizeof(task->home), "the universe of %s", task->name);
        baton_set(universe, task->home, &task->token);
        break;
    case 1:
        printf("%s is in %s\n", task->name, here());
        task->picture = baton_context_copy();
        break;
    case 2:
        baton_context_run(task->picture, destroy, (void *)task->name);
        baton_context_find(task->picture, universe, &shown);
        printf("%s is still in %s, the picture shows %s\n", task->name, here(), shown ? (char *)shown : "nothing");
        break;
    case 3:
        baton_reset(universe, &task->token);
        printf("%s came from %s\n", task->name, here());
        if (baton_reset(universe, &task->token) == BATON_ERROR_TOKEN_USED)
            printf("%s cannot go back twice\n", task->name);
        baton_context_free(task->picture);
        break;
    }
}

static void count(void *context)
{
    printf("an empty one: %lu\n", baton_context_count((baton_context *)context));
}

static void enter_again(void *context)
{
    if (baton_context_run((baton_context *)context, count, context) == BATON_ERROR_ENTERED)
        puts("nobody enters a universe twice");
}

int main(void)
{
    struct task tasks[TASKS];
    baton_context *alone;
    universe = baton_var_new("universe", (void *)"nothing", NULL);
    baton_set(universe, (void *)"the first universe", NULL);
    memset(tasks, 0, sizeof(tasks));
    for (int i = 0; i < TASKS; i++) {
        tasks[i].name = names[i];
        tasks[i].context = baton_context_copy();
    }
    for (int step = 0; step < STEPS; step++)
        for (int i = 0; i < TASKS; i++)
            baton_context_run(tasks[i].context, live, &tasks[i]);
    for (int i = 0; i < TASKS; i++)
        baton_context_free(tasks[i].context);
    printf("outside, all the time: %s\n", here());
    alone = baton_context_new();
    baton_context_run(alone, count, alone);
    baton_context_run(alone, enter_again, alone);
    baton_context_free(alone);
    return 0;
}
