/*
 * Where generated objects and plans lie: in folders that only this user can write to, because what is in
 * them is loaded into programs. Others can read them: a program may become another user and start more.
 *
 * A folder may be mounted noexec (/run often is, /tmp at times): an object is kept in the first one that code
 * can be mapped from. What is there already is compared before it is used. Files that nobody has used for a
 * day, and that no process has mapped, are removed.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "kept.h"
#include "plan.h"

enum { A_DAY = 24 * 60 * 60, REMOVED_MAX = 4 };

static const char not_ours[] = "not a folder that only this user can write to";
static const char no_code[] = "no code can be loaded from it (noexec)";

static bool make_folder(const char *path)
{
    return (mkdir(path, 0755) == 0 || errno == EEXIST) && kept_is_ours(path);
}

/* ---- what is old ---- */

/* Has any process that we may look at this file mapped? */
static bool is_mapped(const char *path)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    bool is_it = false;

    while (processes && !is_it && (entry = readdir(processes))) {
        char name[300], line[4400];
        FILE *maps;

        if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
            continue;
        snprintf(name, sizeof name, "/proc/%s/maps", entry->d_name);
        maps = fopen(name, "re");
        while (maps && !is_it && fgets(line, sizeof line, maps))
            is_it = strstr(line, path) != NULL;
        if (maps)
            fclose(maps);
    }
    if (processes)
        closedir(processes);
    return is_it;
}

static bool is_name_of_ours(const char *name)
{
    size_t len = strspn(name, "0123456789abcdef");

    const char *const kinds[] = {".so", ".plan", ".known"};

    for (unsigned i = 0; len == 16 && i < sizeof kinds / sizeof *kinds; i++) {
        size_t kind = strlen(kinds[i]);

        if (!strncmp(name + len, kinds[i], kind) && (!name[len + kind] || name[len + kind] == '.'))
            return true;
    }
    return false;
}

/*
 * Looks at those of one sixteenth of all names, at another one each time, and at the processes for REMOVED_MAX
 * files at most: somebody waits for the program, and a folder that is much used has thousands.
 */
static void remove_old(const char *folder)
{
    DIR *files = opendir(folder);
    time_t now = time(NULL);
    struct dirent *entry;
    char turn = "0123456789abcdef"[((unsigned long)getpid() + (unsigned long)now) % 16];
    unsigned left = REMOVED_MAX;

    while (files && left && (entry = readdir(files))) {
        char path[4500];
        struct stat status;

        if (entry->d_name[0] != turn || !is_name_of_ours(entry->d_name))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode) || now - status.st_mtime < A_DAY)
            continue;
        left--;
        if (!is_mapped(path))
            unlink(path);
    }
    if (files)
        closedir(files);
}

/* ---- what is kept ---- */

static bool is_there(const char *path, const void *data, size_t size, unsigned mode)
{
    int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    struct stat status;
    bool is_it = false;

    if (fd < 0)
        return false;
    if (fstat(fd, &status) == 0 && status.st_uid == geteuid() && (status.st_mode & 07777) == mode &&
        (size_t)status.st_size == size) {
        void *there = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);

        if (there != MAP_FAILED) {
            is_it = !memcmp(there, data, size);
            munmap(there, size);
        }
        if (is_it)
            futimens(fd, NULL); /* used today */
    }
    close(fd);
    return is_it;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size) {
        ssize_t got = write(fd, data, size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return false;
        data += got;
        size -= (size_t)got;
    }
    return true;
}

/* Put in place whole. */
static bool keep(const char *path, const void *data, size_t size, unsigned mode)
{
    char temporary[4500];
    bool is_written;
    int fd;

    if (is_there(path, data, size, mode))
        return true;
    snprintf(temporary, sizeof temporary, "%s.%d", path, (int)getpid());
    fd = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (fd < 0)
        return false;
    is_written = write_all(fd, data, size) && fchmod(fd, mode) == 0;
    is_written &= close(fd) == 0;
    if (!is_written || rename(temporary, path) != 0) {
        unlink(temporary);
        return false;
    }
    return true;
}

static bool can_be_mapped(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    void *code = fd < 0 ? MAP_FAILED : mmap(NULL, 1, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    int error = errno;

    if (code != MAP_FAILED)
        munmap(code, 1);
    if (fd >= 0)
        close(fd);
    errno = error;
    return code != MAP_FAILED;
}

/* Is there a folder that could keep an object? PROBLEM says why none can. */
bool folder_is_there(char *problem, size_t n)
{
    size_t said = 0;

    problem[0] = '\0';
    for (unsigned i = 0; i < KEPT_PLACES; i++) {
        struct statvfs status;
        const char *why;
        char folder[4200];

        if (!kept_place(i, folder, sizeof folder))
            continue;
        if (!make_folder(folder))
            why = errno == EPERM ? not_ours : strerror(errno);
        else if (statvfs(folder, &status) == 0 && status.f_flag & ST_NOEXEC)
            why = no_code;
        else
            return true;
        if (said < n)
            said += (size_t)snprintf(problem + said, n - said, "%s%s: %s", said ? "; " : "", folder,
                                     why);
    }
    return false;
}

bool folder_keep_object(const void *data, size_t size, unsigned mode, char *path, size_t n,
                        char *reason, size_t reason_n)
{
    uint64_t hash = plan_hash_bytes(0xcbf29ce484222325u ^ mode, data, size);
    size_t said = 0;

    umask(022);
    reason[0] = '\0';
    for (unsigned i = 0; i < KEPT_PLACES; i++) {
        const char *why = NULL;
        char folder[4200];

        if (!kept_place(i, folder, sizeof folder))
            continue;
        snprintf(path, n, "%s/%016lx.so", folder, (unsigned long)hash);
        if (!make_folder(folder))
            why = errno == EPERM ? "not a folder that only this user can write to"
                                 : strerror(errno);
        else if (!keep(path, data, size, mode))
            why = strerror(errno);
        else if (!can_be_mapped(path))
            why = no_code;
        if (!why) {
            remove_old(folder);
            return true;
        }
        if (said < reason_n)
            said += (size_t)snprintf(reason + said, reason_n - said, "%s%s: %s", said ? "; " : "",
                                     folder, why);
    }
    return false;
}

void folder_keep(const void *data, size_t size, const char *name)
{
    umask(022);
    for (unsigned i = 0; i < KEPT_PLACES; i++) {
        char folder[4200], path[4300];

        if (!kept_place(i, folder, sizeof folder) || !make_folder(folder))
            continue;
        snprintf(path, sizeof path, "%s/%s", folder, name);
        if (keep(path, data, size, 0600)) {
            remove_old(folder);
            return;
        }
    }
}
