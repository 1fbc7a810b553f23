/* ucontext: from the thread into a coroutine and back, two switches a task. */
#include "drive.h"

#include <stdlib.h>
#include <ucontext.h>

static ucontext_t outside, inside;
static size_t current;

static void run_tasks(void)
{
    for (;;) {
        drive_task(current);
        swapcontext(&inside, &outside);
    }
}

static void setup(size_t count)
{
    (void)count;
    inside.uc_stack.ss_size = 256 * 1024;
    inside.uc_stack.ss_sp = malloc(inside.uc_stack.ss_size);
}

static void enter(size_t index)
{
    current = index;
    swapcontext(&outside, &inside);
}

/* A new coroutine on the old stack: the one before it is never entered again. */
static void begin(void)
{
    stack_t stack = inside.uc_stack;

    getcontext(&inside);
    inside.uc_stack = stack;
    inside.uc_link = &outside;
    makecontext(&inside, run_tasks, 0);
    enter(0);
}

const struct way drive_ways[] = {
    {.name = "ucontext",
     .setup = setup,
     .begin = begin,
     .submit = enter,
     .is_same_thread = true,
     .is_taken_at_begin = true,
     .handoffs = 2},
    {0},
};
