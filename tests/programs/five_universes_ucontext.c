// Five coroutines on one thread set "who am I", take turns, start children, read it back: each sees only its own.
// usage: five_universes_ucontext [CARRIER]
#include "carrier.h"
#include <ucontext.h>

#define UNIVERSES 5
#define ROUNDS 20

static ucontext_t scheduler, universes[UNIVERSES], children[UNIVERSES];
static char stacks[2 * UNIVERSES][64 * 1024] __attribute__((aligned(16)));
static int own_right[UNIVERSES], child_right[UNIVERSES];

static void make(ucontext_t *context, char *stack, void (*body)(void), int number, ucontext_t *link)
{
    getcontext(context);
    context->uc_stack.ss_sp = stack;
    context->uc_stack.ss_size = sizeof stacks[0];
    context->uc_link = link;
    makecontext(context, body, 1, number);
}

static void yield(int me)
{
    swapcontext(&universes[me], &scheduler);
}

/* It is born in the middle of a round and runs when the other universes have had their turn. */
static void child(int me)
{
    long born = current();
    set_current(9999);
    swapcontext(&children[me], &universes[me]);
    child_right[me] += born % 1000 / 100 == me + 1 && current() == 9999;
}

static void universe(int me)
{
    for (int round = 1; round <= ROUNDS; round++) {
        long name = (me + 1) * 100 + round;
        set_current(name);
        make(&children[me], stacks[UNIVERSES + me], (void (*)(void))child, me, &universes[me]);
        yield(me);
        swapcontext(&universes[me], &children[me]);
        own_right[me] += current() == name;
        set_current(-me);
        yield(me);
        swapcontext(&universes[me], &children[me]);
        own_right[me] += current() == -me;
    }
}

int main(int argc, char **argv)
{
    carrier_choose(argc > 1 ? argv[1] : "key");
    for (int me = 0; me < UNIVERSES; me++)
        make(&universes[me], stacks[me], (void (*)(void))universe, me, &scheduler);
    set_current(77);
    for (int turn = 0; turn < 2 * ROUNDS + 1; turn++)
        for (int me = 0; me < UNIVERSES; me++)
            swapcontext(&scheduler, &universes[me]);
    expect("the scheduler", current(), 77);
    set_current(0);
    for (int me = 0; me < UNIVERSES; me++) {
        printf("universe %d: ", me + 1);
        expect("own", own_right[me], 2 * ROUNDS);
        printf("universe %d: ", me + 1);
        expect("children", child_right[me], ROUNDS);
    }
    return verdict();
}
