/*
 * Where we are, and what there is to run: found as exec would find it, so that what is looked at is what
 * will run.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
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

void remove_folder(const char *folder)
{
    DIR *list = opendir(folder);
    struct dirent *entry;

    while (list && (entry = readdir(list)))
        unlink(joined("%s/%s", folder, entry->d_name));
    if (list)
        closedir(list);
    rmdir(folder);
}

/* Of this user's launchers that a signal has ended: nobody has it locked, and it is not one that has only just been made. */
static void remove_if_left(const char *folder)
{
    enum { JUST_NOW_S = 60 };
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;

    if (fd < 0)
        return;
    if (fstat(fd, &status) == 0 && status.st_uid == geteuid() &&
        time(NULL) - status.st_mtime > JUST_NOW_S && flock(fd, LOCK_EX | LOCK_NB) == 0)
        remove_folder(folder);
    close(fd);
}

char *make_folder(const char *prefix)
{
    const char *temporary = getenv("TMPDIR"),
               *parent = temporary && *temporary == '/' ? temporary : "/tmp";
    char *folder = joined("%s/%sXXXXXX", parent, prefix);
    DIR *list = opendir(parent);
    struct dirent *entry;
    int fd;

    while (list && (entry = readdir(list))) {
        if (!strncmp(entry->d_name, prefix, strlen(prefix)))
            remove_if_left(joined("%s/%s", parent, entry->d_name));
    }
    if (list)
        closedir(list);
    if (!mkdtemp(folder))
        return NULL;
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC); /* locked for as long as we live */
    if (fd >= 0)
        (void)flock(fd, LOCK_EX | LOCK_NB);
    return folder;
}

static bool is_file(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode);
}

static bool can_run(const char *path)
{
    return is_file(path) && access(path, X_OK) == 0;
}

/* By PATH. *refused: a file of that name that cannot be run. */
static char *look_in_path(const char *name, char **refused)
{
    const char *path = getenv("PATH"), *rest = path && *path ? path : "/usr/bin:/bin";

    for (; name[0]; rest++) {
        int len = (int)strcspn(rest, ":");
        char *candidate = joined("%.*s/%s", len ? len : 1, len ? rest : ".", name);

        if (can_run(candidate))
            return candidate;
        if (is_file(candidate))
            *refused = candidate;
        rest += len;
        if (!*rest)
            break;
    }
    return NULL;
}

char *program_look(const char *name)
{
    char *refused;

    if (strchr(name, '/'))
        return can_run(name) ? allocated(strdup(name)) : NULL;
    return look_in_path(name, &refused);
}

char *program_find(const char *name)
{
    char *refused = NULL, *found;

    if (strchr(name, '/')) {
        if (access(name, F_OK) != 0)
            fail(EXIT_NOT_FOUND, "%s: no such program", clean(name));
        if (!can_run(name))
            fail(EXIT_CANNOT_RUN, "%s: cannot be run (not an executable file)", clean(name));
        return allocated(strdup(name));
    }
    found = look_in_path(name, &refused);
    if (refused && !found)
        fail(EXIT_CANNOT_RUN, "%s: cannot be run (not an executable file)", clean(refused));
    if (!found)
        fail(EXIT_NOT_FOUND, "%s: no such program in PATH", clean(name));
    return found;
}
