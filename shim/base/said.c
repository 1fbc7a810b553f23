/*
 * The page of what was said. An executed program has nothing of its parent's memory, so what was said before it would be said
 * again: where the launcher waits for the end of its run it has a page for all processes of that run.
 *
 * Rules: it is reached through /proc, and looked at before it is opened, because its launcher may have gone and its number be
 * another process's. What cannot be shortened cannot end us (SIGBUS). Nothing of this in a process with rights of its own, nor
 * where a filter was there before the program: its loader makes none of these calls.
 */
#include "base/said.h"

#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>

#include "base/auxv.h"
#include "base/sandbox.h"
#include "base/sys.h"

enum { PATH_SIZE = 64 };

static const char *value_of(char **environment, const char *name, size_t len)
{
    for (; environment && *environment; environment++) {
        if (**environment == *name && !strncmp(*environment, name, len))
            return *environment + len;
    }
    return NULL;
}

/* A number of up to nine digits with END behind it; NULL: there is none. */
static const char *skip_number(const char *text, char end)
{
    size_t digits = 0;

    while (text[digits] >= '0' && text[digits] <= '9')
        digits++;
    return digits && digits < 10 && text[digits] == end ? text + digits : NULL;
}

static bool path_of(const char *value, char *path)
{
    const char *colon = skip_number(value, ':');

    if (!colon || !skip_number(colon + 1, '\0'))
        return false;
    strcpy(path, "/proc/");
    memcpy(path + strlen(path), value, (size_t)(colon - value) + 1);
    strcpy(strchr(path, ':'), "/fd/");
    strcpy(path + strlen(path), colon + 1);
    return true;
}

static bool is_sealed(int fd)
{
    long seals = SYS_CALL(fcntl, fd, F_GET_SEALS, 0L);
    struct stat status;

    return seals >= 0 && seals & F_SEAL_SHRINK && sys_status(fd, &status) == 0 &&
           status.st_size == SAID_BYTES && status.st_uid == auxv_get(AT_EUID);
}

static void *map(int fd, int flags)
{
    long page =
        SYS_CALL(mmap, NULL, (long)SAID_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | flags, fd, 0L);

    return page < 0 && page > -4096 ? NULL : (void *)page;
}

static void *launchers_page(const char *value)
{
    static const char wanted[] = "/memfd:" SAID_NAME " (deleted)";
    char path[PATH_SIZE], name[sizeof wanted];
    void *page;
    int fd;

    if (auxv_get(AT_SECURE) || sandbox_was_there() || !path_of(value, path) ||
        sys_readlink(path, name, sizeof name) != sizeof wanted - 1 ||
        memcmp(name, wanted, sizeof wanted - 1) != 0)
        return NULL;
    fd = sys_open(path, O_RDWR, 0);
    if (fd < 0)
        return NULL;
    page = is_sealed(fd) ? map(fd, 0) : NULL;
    sys_close(fd);
    return page;
}

_Atomic uint64_t *said_page(char **environment)
{
    static const char variable[] = SAID_VARIABLE "=";
    const char *value = value_of(environment, variable, sizeof variable - 1);
    void *page = value ? launchers_page(value) : NULL;

    return page ? page : map(-1, MAP_ANONYMOUS);
}
