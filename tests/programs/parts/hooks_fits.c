// Functions that hand over in every way, with debug information of what they take. What it prints is what they saw.
#include <stdio.h>

#define POOL __attribute__((noinline))

struct task {
    struct task *next;
    int small;
    void (*run)(struct task *task);
    long number;
};
struct large {
    long words[4];
};
struct two {
    long first, second;
};

static long ran;

static void count(void *argument)
{
    ran += argument == &ran;
}

static void count_int(int number, void *argument)
{
    ran += number == 3 && argument == &ran;
}

static void count_task(struct task *task)
{
    ran += task->number;
}

POOL int call_submit(void *pool, void (*function)(void *), void *argument)
{
    function(argument);
    return pool != NULL;
}

POOL int call_double(void *pool, void (*function)(int, void *), double when, void *argument)
{
    function(when > 0 ? 3 : 0, argument);
    return pool != NULL;
}

POOL void call_large(struct large large, void (*function)(void *), void *argument)
{
    ran += large.words[3];
    function(argument);
}

POOL void call_two(struct two two, void (*function)(void *), void *argument)
{
    ran += two.second;
    function(argument);
}

POOL int call_any(void (*function)(), unsigned long argument, int number)
{
    ((void (*)(void *))function)((void *)argument);
    return (int)ran + number;
}

POOL void task_submit(void *list, struct task *task)
{
    ran += list != NULL;
    task->run(task);
}

POOL struct large task_large(void *list, struct task *task)
{
    struct large large = {{list != NULL}};

    task->run(task);
    return large;
}

POOL void task_run(struct task *task)
{
    ran += 1;
    task->run(task);
}

POOL void *queue_get(int queue)
{
    ran += queue;
    return ran > 1000 ? NULL : &ran;
}

POOL struct two queue_get_two(void *queue)
{
    struct two two = {ran, queue != NULL};

    return two;
}

int main(void)
{
    struct task task = {NULL, 1, count_task, 1};
    struct large large = {{1, 1, 1, 1}};
    struct two two = {1, 1};

    call_submit(&task, count, &ran);
    call_double(&task, count_int, 1.0, &ran);
    call_large(large, count, &ran);
    call_two(two, count, &ran);
    call_any((void (*)())count, (unsigned long)&ran, 1);
    task_submit(&task, &task);
    task_large(&task, &task);
    task_run(&task);
    queue_get(1);
    queue_get_two(&task);
    printf("%ld\n", ran);
    return 0;
}
