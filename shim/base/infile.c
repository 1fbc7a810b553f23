/* Whose code may run here.
 *
 * A setting is as trusted as who set it; a file that it names is not: whoever may write there chooses
 * what runs. What is asked is what sshd asks of its files. Raw system calls: see sys.h.
 */
#include "base/infile.h"

#include <string.h>

#include "base/sys.h"

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
    if (SYS_CALL(faccessat, AT_FDCWD, path, R_OK, 0) < 0)
        return "a file that may be read (permission denied)";
    return NULL;
}
