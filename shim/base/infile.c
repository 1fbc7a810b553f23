/* Whose code may run here.
 *
 * A setting is as trusted as whoever set it; a file that it names is not: whoever may write there chooses
 * what runs. What is asked is what sshd asks of its files. Raw system calls: see sys.h.
 */
#include "base/infile.h"

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

const char *infile_distrust(const char *path)
{
    struct stat st;
    long result = SYS_CALL(newfstatat, AT_FDCWD, path, &st, 0);

    if (result == -EACCES)
        return "a file that may be read (permission denied)";
    if (result < 0)
        return "a file that exists";
    if (!S_ISREG(st.st_mode) || strncmp(path, "/dev/", 5) == 0)
        return "a regular file, outside of /dev";
    if (st.st_uid != 0 && st.st_uid != (uid_t)SYS_CALL(geteuid, 0) &&
        st.st_uid != (uid_t)SYS_CALL(getuid, 0))
        return "a file that belongs to root or to you: its owner could change what runs here";
    if (st.st_mode & S_IWOTH)
        return "a file that others may not write (chmod o-w): they could change what runs here";
    return infile_is_elf(path);
}
