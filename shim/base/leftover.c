/*
 * Promise: only what is certain is removed: a regular file of this user's, with no other name, whose beginning says that
 * it is of the kind and of the process that its name says, which is gone.
 */
#include "base/leftover.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/sys.h"

/* Of a folder that has more, such as a full /tmp, the rest is left: somebody waits for the program. */
enum { NAMES = 8192, READS = 32, HEAD = 128, PATH = 4200 };

static const char suffix[] = ".live";

/* The kernel's linux_dirent64. */
struct entry {
    uint64_t inode;
    int64_t next;
    uint16_t len;
    uint8_t type;
    char name[];
};

uint32_t leftover_namespace(void)
{
    struct stat status;

    if (SYS_CALL(newfstatat, AT_FDCWD, "/proc/self/ns/pid", &status, 0) < 0)
        return 0;
    return (uint32_t)status.st_ino;
}

/* The number in PREFIX PID ".live"; 0: another name. */
static int pid_in(const char *name, const char *prefix)
{
    size_t len = strlen(prefix);
    int pid = 0;

    if (strncmp(name, prefix, len) != 0 || name[len] == '0')
        return 0;
    for (name += len; *name >= '0' && *name <= '9' && pid < 1 << 24; name++)
        pid = pid * 10 + (*name - '0');
    return strcmp(name, suffix) == 0 ? pid : 0;
}

static void name_it(char *path, const char *folder, const char *prefix, int pid)
{
    fmt_buf(path, PATH, "%s/%s%d%s", folder, prefix, pid, suffix);
}

/* False: not certainly one that nobody writes to any more. */
static bool is_left(const char *path, const struct leftover_kind *kind, int pid, uint32_t namespace,
                    struct timespec *written)
{
    char head[HEAD];
    uint32_t of_pid, of_namespace;
    struct stat status;
    bool is_it;
    int fd;

    if (SYS_CALL(kill, pid, 0) != -ESRCH)
        return false;
    fd = sys_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0);
    if (fd < 0)
        return false;
    is_it = sys_status(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_nlink == 1 &&
            status.st_uid == (uid_t)SYS_CALL(geteuid, 0) &&
            sys_pread(fd, head, sizeof head, 0) == (long)sizeof head;
    sys_close(fd);
    if (!is_it)
        return false;
    memcpy(&of_pid, head + kind->pid_at, sizeof of_pid);
    memcpy(&of_namespace, head + kind->namespace_at, sizeof of_namespace);
    *written = status.st_mtim;
    return !memcmp(head, kind->magic, sizeof kind->magic - 1) && of_pid == (uint32_t)pid &&
           of_namespace == namespace;
}

static bool is_before(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec != b->tv_sec ? a->tv_sec < b->tv_sec : a->tv_nsec < b->tv_nsec;
}

/* Those that stay, as far as they have been seen. */
struct kept {
    unsigned count, most;
    struct {
        int pid;
        struct timespec written;
    } files[LEFTOVER_KEPT];
};

/* The one that goes, which may be the new one; 0: there is room for all. */
static int keep(struct kept *kept, int pid, struct timespec written)
{
    unsigned oldest = 0;
    int goes = pid;

    if (kept->count < kept->most) {
        kept->files[kept->count].pid = pid;
        kept->files[kept->count++].written = written;
        return 0;
    }
    for (unsigned i = 1; i < kept->count; i++) {
        if (is_before(&kept->files[i].written, &kept->files[oldest].written))
            oldest = i;
    }
    if (kept->count && is_before(&kept->files[oldest].written, &written)) {
        goes = kept->files[oldest].pid;
        kept->files[oldest].pid = pid;
        kept->files[oldest].written = written;
    }
    return goes;
}

void leftover_remove(const char *folder, const char *prefix, const struct leftover_kind *kind,
                     unsigned most)
{
    struct kept kept = {.most = most < LEFTOVER_KEPT ? most : LEFTOVER_KEPT};
    uint32_t namespace = leftover_namespace();
    _Alignas(struct entry) char names[NAMES];
    int fd = namespace ? sys_open(folder, O_RDONLY | O_DIRECTORY | O_NONBLOCK, 0) : -1;
    char path[PATH];
    long len = 0;

    for (unsigned reads = 0; fd >= 0 && reads < READS; reads++) {
        len = SYS_CALL(getdents64, fd, names, sizeof names);
        if (len <= 0)
            break;
        for (long at = 0; at < len;) {
            const struct entry *entry = (const struct entry *)(const void *)(names + at);
            int pid = pid_in(entry->name, prefix), goes;
            struct timespec written;

            at += entry->len;
            if (!pid)
                continue;
            name_it(path, folder, prefix, pid);
            goes = is_left(path, kind, pid, namespace, &written) ? keep(&kept, pid, written) : 0;
            if (!goes)
                continue;
            name_it(path, folder, prefix, goes);
            (void)SYS_CALL(unlinkat, AT_FDCWD, path, 0);
        }
    }
    if (fd >= 0)
        sys_close(fd);
}
