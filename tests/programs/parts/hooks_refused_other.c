/* A second static function of the same name. */
#include "hooks_refused.h"

static __attribute__((noinline)) int twice(int value)
{
    __asm__ volatile(".nops 8");
    return value + 2;
}

int other_twice(int value)
{
    return twice(value);
}
