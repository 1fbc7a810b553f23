/*
 * Where we are, and what there is to run: found as exec would find it, so that what is looked at is what
 * will run.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"

const char *our_folder(void)
{
    static char folder[PATH_MAX];
    ssize_t len;

    if (folder[0])
        return folder;
    len = readlink("/proc/self/exe", folder, sizeof folder - 1);
    if (len <= 0)
        fail(EXIT_FAILED, "cannot tell where baton is installed (is /proc there?)");
    folder[len] = '\0';
    *strrchr(folder, '/') = '\0';
    return folder;
}

char *our_file(const char *name)
{
    return joined("%s/%s", our_folder(), name);
}

char *absolute(const char *path)
{
    char folder[PATH_MAX];

    if (path[0] == '/' || !getcwd(folder, sizeof folder))
        return allocated(strdup(path));
    return joined("%s/%s", folder, path);
}

static bool is_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

char *program_find(const char *name)
{
    const char *path = getenv("PATH"), *rest;
    char *refused = NULL;

    if (strchr(name, '/')) {
        if (access(name, F_OK) != 0)
            fail(EXIT_NOT_FOUND, "%s: no such program", clean(name));
        if (!is_file(name) || access(name, X_OK) != 0)
            fail(EXIT_CANNOT_RUN, "%s: cannot be run (not an executable file)", clean(name));
        return allocated(strdup(name));
    }
    for (rest = path && *path ? path : "/usr/bin:/bin"; name[0]; rest++) {
        int len = (int)strcspn(rest, ":");
        char *candidate = joined("%.*s/%s", len ? len : 1, len ? rest : ".", name);

        if (is_file(candidate)) {
            if (access(candidate, X_OK) == 0)
                return candidate;
            refused = candidate;
        }
        rest += len;
        if (!*rest)
            break;
    }
    if (refused)
        fail(EXIT_CANNOT_RUN, "%s: cannot be run (not an executable file)", clean(refused));
    fail(EXIT_NOT_FOUND, "%s: no such program in PATH", clean(name));
}
