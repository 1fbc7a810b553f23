/* Whose code may run here.
 *
 * A setting is as trusted as whoever set it; a file that it names is not: whoever may write there chooses
 * what runs, by its group, or by another file in its place. What is asked is what sshd asks of its files. Raw system calls: see sys.h.
 */
#include "base/infile.h"

#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include "base/sys.h"

static const char *infile_is_elf(const char *path)
{
    char magic[4] = "";
    int fd = sys_open(path, O_RDONLY | O_NONBLOCK, 0);
    long got = fd < 0 ? fd : sys_read(fd, magic, sizeof magic);

    if (fd >= 0)
        sys_close(fd);
    if (fd < 0)
        return "a file that may be read";
    return got == sizeof magic && memcmp(magic, "\177ELF", sizeof magic) == 0
               ? NULL
               : "a shared object (an ELF file)";
}

static bool is_trusted_owner(uid_t owner)
{
    return owner == 0 || owner == (uid_t)SYS_CALL(geteuid, 0) ||
           owner == (uid_t)SYS_CALL(getuid, 0);
}

/* Whoever may write to its folder may put another file in its place, unless the folder is sticky. */
static const char *folder_distrust(const char *path)
{
    const char *slash = strrchr(path, '/');
    char folder[PATH_MAX];
    size_t len = slash ? (size_t)(slash - path) + 1 : 0;
    struct stat st;

    if (!len || len >= sizeof folder)
        return "a whole path";
    memcpy(folder, path, len);
    folder[len] = '\0';
    if (SYS_CALL(newfstatat, AT_FDCWD, folder, &st, 0) < 0)
        return "a file that exists";
    if (!is_trusted_owner(st.st_uid))
        return "a file in a folder that belongs to root or to you: its owner could change what "
               "runs here";
    if (st.st_mode & (S_IWGRP | S_IWOTH) && !(st.st_mode & S_ISVTX))
        return "a file in a folder that others may not write to (chmod go-w it): they could "
               "change what runs here";
    return NULL;
}

const char *infile_distrust(const char *path)
{
    const char *why;
    struct stat st;
    long result = SYS_CALL(newfstatat, AT_FDCWD, path, &st, 0);

    if (result == -EACCES)
        return "a file that may be read (permission denied)";
    if (result < 0)
        return "a file that exists";
    if (!S_ISREG(st.st_mode) || strncmp(path, "/dev/", 5) == 0)
        return "a regular file, outside of /dev";
    if (!is_trusted_owner(st.st_uid))
        return "a file that belongs to root or to you: its owner could change what runs here";
    if (st.st_mode & (S_IWGRP | S_IWOTH))
        return "a file that others may not write (chmod go-w): they could change what runs here";
    why = folder_distrust(path);
    return why ? why : infile_is_elf(path);
}
