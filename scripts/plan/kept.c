/*
 * Answers that are kept, as both sides see them (kept.h).
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kept.h"

/* The same list is in shim/userhooks/replan.c. */
bool kept_place(unsigned number, char *path, size_t n)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *home = getenv("HOME");
    unsigned user = (unsigned)geteuid();

    switch (number) {
    case 0:
        if (user && (!runtime || *runtime != '/' || strpbrk(runtime, ": ")))
            return false;
        snprintf(path, n, "%s/baton", user ? runtime : "/run");
        return true;
    case 1:
        snprintf(path, n, "/tmp/baton-%u", user);
        return true;
    case 2:
        snprintf(path, n, "/var/tmp/baton-%u", user);
        return true;
    default:
        if (!home || *home != '/' || strpbrk(home, ": "))
            return false;
        snprintf(path, n, "%s/.baton", home);
        return true;
    }
}

bool kept_is_ours(const char *path)
{
    struct stat status;

    if (lstat(path, &status) != 0)
        return false;
    errno = EPERM;
    return S_ISDIR(status.st_mode) && status.st_uid == geteuid() && !(status.st_mode & 022);
}

unsigned kept_object_mode(const char *folder)
{
    char path[KEPT_PATH];
    struct stat status;
    int len = snprintf(path, sizeof path, "%s/libbaton.so", folder);

    if (len >= (int)sizeof path || stat(path, &status) != 0 || !(status.st_mode & S_IROTH))
        return 0600;
    while (len > 0) {
        if (path[--len] != '/')
            continue;
        path[len + 1] = '\0'; /* the root has no other name */
        if (stat(path, &status) != 0 || !(status.st_mode & S_IXOTH))
            return 0600;
    }
    return 0644;
}

/* ctime: what is written to, replaced, or given an older date all change it. */
void kept_stamp(const char *path, char *line, size_t n, struct timespec *changed)
{
    struct stat status;

    if (stat(path, &status) != 0)
        memset(&status, 0, sizeof status);
    snprintf(line, n, "seen %llx %llx %llx %llx.%lx %s", (unsigned long long)status.st_dev,
             (unsigned long long)status.st_ino, (unsigned long long)status.st_size,
             (unsigned long long)status.st_ctim.tv_sec, (unsigned long)status.st_ctim.tv_nsec,
             path);
    if (changed)
        *changed = status.st_ctim;
}
