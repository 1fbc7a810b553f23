// A coroutine that sets how it computes has that again, and its caller has what it had, whoever switches.
// link: -lm
#include <fenv.h>
#include <stdio.h>
#include <ucontext.h>

static ucontext_t inside, outside;
static char stack[65536];
static int wrong;

static void expect(const char *who, int wanted)
{
    if (fegetround() != wanted) {
        printf("%s rounds by %#x, and should by %#x\n", who, fegetround(), wanted);
        wrong = 1;
    }
}

static void body(void)
{
    static const int ways[] = {FE_UPWARD, FE_DOWNWARD, FE_TOWARDZERO};

    for (int i = 0; i < 3; i++) {
        fesetround(ways[i]);
        swapcontext(&inside, &outside);
        expect("the coroutine", ways[i]);
    }
}

int main(void)
{
    static const int ways[] = {FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_TONEAREST};

    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = sizeof stack;
    inside.uc_link = &outside;
    makecontext(&inside, body, 0);
    for (int i = 0; i < 4; i++) {
        fesetround(ways[i]);
        swapcontext(&outside, &inside);
        expect("the caller", ways[i]);
    }
    return wrong;
}
