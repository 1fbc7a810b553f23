/* The time before anybody has found where the kernel's page has it: see clock.h. */
#include "base/clock.h"

#include "base/sys.h"

static int ask_kernel(clockid_t clock, struct timespec *now)
{
    return (int)SYS_CALL(clock_gettime, clock, now);
}

int (*clock_source)(clockid_t, struct timespec *) = ask_kernel;
