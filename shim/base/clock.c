/* The time before anybody has found where the kernel's page has it: see clock.h. */
#include "base/clock.h"

#include <sys/syscall.h>

#include "base/arch.h"

static int ask_kernel(clockid_t clock, struct timespec *now)
{
    return (int)arch_kernel(SYS_clock_gettime, clock, (long)now, 0);
}

int (*clock_source)(clockid_t, struct timespec *) = ask_kernel;
