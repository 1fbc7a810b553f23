/* Opening what a setting names for writing.
 *
 * Promise: a report never ends up in what somebody else put in its place (a link, a file with other
 * names, a device), never waits for a reader, and never in a file that has taken the number of a
 * descriptor. The process may be a daemon, and its folder may be /tmp.
 */
#include "base/outfile.h"

#include <string.h>

#include "base/config_parse.h"
#include "base/log.h"
#include "base/sys.h"

enum { PATH_MAX_HERE = 4096, NOT_A_DESCRIPTOR = -1 };

static uint64_t size_limit = UINT64_MAX; /* of a file, at the start */

static int outfile_descriptor(const char *target)
{
    static const struct {
        char text[14];
        int fd;
    } names[] = {{"stdout", 1}, {"stderr", 2}, {"/dev/stdout", 1}, {"/dev/stderr", 2}};
    const char *digit = NULL;
    int fd = 0;

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(target, names[i].text))
            return names[i].fd;
    if (!strncmp(target, "/dev/fd/", 8))
        digit = target + 8;
    else if (!strncmp(target, "/proc/self/fd/", 14))
        digit = target + 14;
    if (!digit || !*digit)
        return NOT_A_DESCRIPTOR;
    for (; *digit >= '0' && *digit <= '9' && fd < 1 << 20; digit++)
        fd = fd * 10 + (*digit - '0');
    return *digit ? NOT_A_DESCRIPTOR : fd;
}

void outfile_note(const char *target)
{
    int fd = outfile_descriptor(target);

    size_limit = sys_file_limit();
    if (fd >= 0)
        log_remember(fd);
}

bool outfile_path(const char *target, char *buf, size_t n)
{
    size_t len = 0;

    for (const char *c = target; *c; c++) {
        if (len + 16 > n)
            return false;
        if (*c != '%')
            buf[len++] = *c;
        else if (*++c == 'p')
            len += (size_t)fmt_buf(buf + len, n - len, "%d", (int)SYS_CALL(getpid, 0));
        else if (*c == '%')
            buf[len++] = '%';
        else
            return false;
    }
    buf[len] = '\0';
    return true;
}

int outfile_check(int fd)
{
    struct stat st;
    long result = sys_status(fd, &st);

    if (result < 0)
        return (int)-result;
    if (S_ISREG(st.st_mode))
        return st.st_nlink > 1 ? EMLINK : 0;
    return S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode) ? 0 : ENOTSUP;
}

static int open_as(const char *target, int flags)
{
    char path[PATH_MAX_HERE];
    int fd = outfile_descriptor(target), error;

    if (fd >= 0)
        return log_is_still(fd) ? fd : -EBADF;
    if (!outfile_path(target, path, sizeof path))
        return -ENAMETOOLONG;
    if (!(flags & O_RDWR))
        flags |= O_WRONLY;
    fd = sys_open(path, flags | O_APPEND | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd < 0)
        return fd;
    error = outfile_check(fd);
    if (error) {
        sys_close(fd);
        return -error;
    }
    if (fd <= 2) { /* closed by the program, which may write there: not a number for us */
        int moved = (int)SYS_CALL(fcntl, fd, F_DUPFD_CLOEXEC, 3);

        sys_close(fd);
        fd = moved;
    }
    return fd;
}

int outfile_open(const char *target, int flags)
{
    return open_as(target, flags | O_CREAT);
}

/* Nothing is made: may it be? 0, or an errno value. */
static int look_at_folder(const char *target)
{
    char path[PATH_MAX_HERE], *name;

    if (!outfile_path(target, path, sizeof path))
        return ENAMETOOLONG;
    name = strrchr(path, '/');
    if (!name)
        strcpy(path, ".");
    else
        name[name == path] = '\0';
    return (int)-SYS_CALL(faccessat, AT_FDCWD, path, W_OK | X_OK);
}

bool outfile_can_be_written(const char *setting, const char *target, bool is_mapped)
{
    int fd = open_as(target, is_mapped ? O_RDWR : 0);
    int error = fd >= 0         ? is_mapped && sys_file_size(fd) < 0 ? ENOTSUP : 0
                : fd == -ENOENT ? look_at_folder(target)
                                : -fd;

    if (fd >= 0)
        outfile_close(fd);
    if (!error || (error == ENXIO && !is_mapped))
        return true;
    outfile_complain(setting, target, error);
    return false;
}

void outfile_close(int fd)
{
    if (fd > 2 && !log_is_remembered(fd))
        sys_close(fd);
}

int outfile_append(int fd, const char *text, size_t len)
{
    long size = size_limit == UINT64_MAX ? 0 : sys_file_size(fd);

    return size >= 0 && (uint64_t)size + len > size_limit ? EFBIG : log_write(fd, text, len);
}

bool outfile_fits(const char *setting, const char *target, const char *what, size_t size)
{
    uint64_t limit = sys_file_limit();

    if (size <= limit)
        return true;
    log_msg(LOG_LEVEL_ERROR,
            "%s=\"%s\": no %s: a file of %lu bytes is wanted, the limit is %lu (ulimit -f)",
            setting, target, what, (unsigned long)size, (unsigned long)limit);
    return false;
}

bool outfile_is_no_file(const char *path)
{
    struct stat st;

    return SYS_CALL(newfstatat, AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           (!S_ISREG(st.st_mode) || st.st_nlink > 1);
}

int outfile_reserve(int fd, size_t at, size_t size)
{
    static const char zeroes[4096];
    long result = SYS_CALL(fallocate, fd, 0, (long)at, (long)size);

    if (result != -EOPNOTSUPP && result != -ENOSYS)
        return (int)-result;
    for (size_t done = 0; done < size; done += sizeof zeroes) {
        result = SYS_CALL(pwrite64, fd, zeroes, sizeof zeroes, (long)(at + done));
        if (result != (long)sizeof zeroes)
            return result < 0 ? (int)-result : ENOSPC;
    }
    return 0;
}

static bool is_anothers(const char *target)
{
    char path[PATH_MAX_HERE];
    struct stat st;

    return outfile_path(target, path, sizeof path) &&
           SYS_CALL(newfstatat, AT_FDCWD, path, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
           st.st_uid != (uid_t)SYS_CALL(geteuid, 0);
}

void outfile_complain(const char *setting, const char *target, int error)
{
    const char *why = error == ELOOP     ? "a symbolic link, which is not followed"
                      : error == ENXIO   ? "a pipe that nobody reads"
                      : error == EMLINK  ? "a file with other names (hard links)"
                      : error == ENOTSUP ? "not a regular file, a pipe or a character device"
                      : error == EFBIG   ? "larger than a file may be here (ulimit -f)"
                      : error == EBADF   ? "this descriptor is not what it was at the start"
                                         : config_errno_text(error);

    if ((error == EACCES || error == EPERM) && is_anothers(target))
        return;
    log_msg(LOG_LEVEL_ERROR, "%s=\"%s\": cannot be written: %s (errno %d)", setting, target, why,
            error);
}
