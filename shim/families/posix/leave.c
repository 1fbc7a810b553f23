/*
 * _exit, _Exit, quick_exit: the program ends without its destructors, ours among them. What matched nothing or never
 * fired is said before.
 *
 * Rules: these may be called by a signal handler, and by a child of vfork, whose memory is its parent's: see
 * leave_hook's body.
 */
#include "families/posix/leave.h"

#include <errno.h>

#include "families/handoff.h"

void (*leave_hook)(void);

static void say(void)
{
    int saved_errno = errno;

    if (leave_hook)
        leave_hook();
    errno = saved_errno;
}

void hook__exit(int status)
{
    say();
    REAL(_exit)(status);
}

void hook__Exit(int status)
{
    say();
    REAL(_Exit)(status);
}

void hook_quick_exit(int status)
{
    say();
    REAL(quick_exit)(status);
}
