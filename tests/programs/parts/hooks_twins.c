/* Two functions of the same code, which a linker may fold into one. */
#include <stdio.h>

int ran;

__attribute__((noinline)) int first_submit(void *pool, void (*function)(void *), void *argument)
{
    function(argument);
    ran++;
    return 1;
}

__attribute__((noinline)) int second_submit(void *pool, void (*function)(void *), void *argument)
{
    function(argument);
    ran++;
    return 1;
}

static void task(void *argument)
{
    printf("task %s\n", (char *)argument);
}

int main(void)
{
    first_submit(NULL, task, "one");
    second_submit(NULL, task, "two");
    return ran != 2;
}
