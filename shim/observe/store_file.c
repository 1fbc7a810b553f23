/*
 * The trace that is mapped, and the files of store.c: opened so that nobody else's is written to, and their blocks reserved before they are
 * touched, because a full disk would be SIGBUS otherwise.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/outfile.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "elf/elf.h"
#include "observe/store_parts.h"

enum { PAGE = 4096, LARGE_PAGE = 2 << 20 };
enum { MADVISE_POPULATE_WRITE = 23 }; /* newer than glibc's headers may be */

struct trace_header *store_trace;

void *store_map(int fd, size_t size)
{
    long flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
    long result = SYS_CALL(mmap, NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0L);

    return result < 0 && result > -4096 ? NULL : (void *)result;
}

bool store_populate(void *start, size_t size)
{
    uintptr_t first = (uintptr_t)start & ~(uintptr_t)(PAGE - 1);
    uintptr_t end = ((uintptr_t)start + size + PAGE - 1) & ~(uintptr_t)(PAGE - 1);
    long result;

    if (sandbox_is_shut())
        return false;
    do
        result = SYS_CALL(madvise, first, (long)(end - first), MADVISE_POPULATE_WRITE);
    while (result == -EINTR || result == -EAGAIN);
    return result == 0;
}

void store_want_large_pages(void *start, size_t size)
{
    uintptr_t first = (uintptr_t)start + LARGE_PAGE;

    if ((uintptr_t)start % LARGE_PAGE != 0 || size <= LARGE_PAGE)
        return;
    /* What is read ahead of a small page would stand where a large one shall. */
    (void)SYS_CALL(madvise, start, (long)LARGE_PAGE, MADV_RANDOM);
    (void)SYS_CALL(madvise, first, (long)(size - LARGE_PAGE), MADV_HUGEPAGE);
}

int store_open_trace(const char *pattern, char *path, size_t size)
{
    struct trace_header header;
    size_t len = 0;
    bool has_pid = false;
    int pid = (int)SYS_CALL(getpid, 0), fd;

    for (const char *c = pattern; *c && len < size - 32; c++) {
        if (c[0] == '%' && c[1] == 'p') {
            len += (size_t)fmt_buf(path + len, size - len, "%d", pid);
            has_pid = true;
            c++;
        } else {
            path[len++] = *c;
        }
    }
    path[len] = '\0';
    fd = sys_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    if (fd >= 0 && !has_pid && sys_pread(fd, &header, sizeof header, 0) == (long)sizeof header &&
        !memcmp(header.magic, TRACE_MAGIC, 8) && (int)header.pid != pid &&
        SYS_CALL(kill, (int)header.pid, 0) != -ESRCH) {
        sys_close(fd);
        fmt_buf(path + len, size - len, ".%d", pid);
        fd = sys_open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0600);
    }
    if (fd >= 0) {
        int error = sys_file_size(fd) < 0 ? ENOTSUP
                                          : outfile_check(fd); /* a pipe, a file with other names */

        if (error) {
            sys_close(fd);
            return -error;
        }
    }
    return fd;
}

void store_name_program(char *name, size_t size)
{
    fmt_buf(name, size, "%s", elf_program_path()); /* found at the start */
}
