/*
 * prctl: hands nothing over. A program that shuts itself in (seccomp) is noted down, so that it is not asked for more
 * at its end than it allows itself (base/sandbox.h). The call itself is the program's own, as it is.
 */
#include "base/sandbox.h"
#include "interpose/hooks.h"

int hook_prctl(int option, unsigned long second, unsigned long third, unsigned long fourth,
               unsigned long fifth)
{
    int result = REAL(prctl)(option, second, third, fourth, fifth);

    if (result == 0)
        sandbox_note(option, second, (const void *)third);
    return result;
}
