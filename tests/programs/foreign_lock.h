// A child of fork that hangs in a lock which a library took and does not see to at fork, and whose fault it is.
#ifndef FOREIGN_LOCK_H
#define FOREIGN_LOCK_H
#include <dlfcn.h>
#include <execinfo.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FOREIGN_LOCK = 77, FOREIGN_LOCK_LOOKS = 2 };
static const char *foreign_lock;

// Asked again and again: what waits below a function of that library's, and not below one of ours, waits for ever.
static void foreign_lock_look(int number)
{
    void *frames[24];
    int count = backtrace(frames, 24);

    for (int i = 0; i < count; i++) {
        Dl_info info;
        if (!dladdr(frames[i], &info) || !info.dli_fname)
            continue;
        if (strstr(info.dli_fname, "libbaton"))
            break;
        if (info.dli_sname && !strncmp(info.dli_sname, foreign_lock, strlen(foreign_lock)))
            _exit(FOREIGN_LOCK);
    }
    alarm(FOREIGN_LOCK_LOOKS);
}

// In the parent, before there are threads; what the functions' names begin with.
static void foreign_lock_expect(const char *name)
{
    void *frame;

    backtrace(&frame, 1); // loads what it needs
    foreign_lock = name;
    signal(SIGALRM, foreign_lock_look);
}

static void foreign_lock_child(void)
{
    if (foreign_lock)
        alarm(FOREIGN_LOCK_LOOKS);
}

static int foreign_lock_waits(int status)
{
    return foreign_lock && WIFEXITED(status) && WEXITSTATUS(status) == FOREIGN_LOCK;
}
#endif
