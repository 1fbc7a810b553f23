// promise: what is written to is a regular file of one name, a pipe or a character device; no disk, no socket, no folder
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/outfile.h"
#include "suite.h"

static char folder[] = "/tmp/baton-outfile-XXXXXX";

static void remove_folder(void)
{
    static const char *const names[] = {"file", "other", "disk"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char path[64];

        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    rmdir(folder);
}

/* A disk is opened without being one's to write to: what is asked is what it is. */
static int open_disk(void)
{
    DIR *devices = opendir("/dev");
    struct dirent *entry;
    char path[300];
    int fd = -1;

    while (devices && fd < 0 && (entry = readdir(devices))) {
        struct stat st;

        snprintf(path, sizeof path, "/dev/%s", entry->d_name);
        if (lstat(path, &st) == 0 && S_ISBLK(st.st_mode))
            fd = open(path, O_PATH);
    }
    if (devices)
        closedir(devices);
    snprintf(path, sizeof path, "%s/disk", folder);
    if (fd < 0 && mknod(path, S_IFBLK | 0600, makedev(7, 0)) == 0)
        fd = open(path, O_PATH);
    return fd;
}

START_TEST(test_outfile_kinds)
{
    char file[64], other[64];
    int fd, ends[2];

    ck_assert_ptr_nonnull(mkdtemp(folder));
    atexit(remove_folder);
    snprintf(file, sizeof file, "%s/file", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    fd = open(file, O_CREAT | O_WRONLY, 0600);
    ck_assert_int_eq(outfile_check(fd), 0);
    ck_assert_int_eq(link(file, other), 0);
    ck_assert_int_eq(outfile_check(fd), EMLINK);
    close(fd);
    ck_assert_int_eq(outfile_check(fd), EBADF);
    ck_assert_int_eq(pipe(ends), 0);
    ck_assert_int_eq(outfile_check(ends[1]), 0);
    ck_assert_int_eq(outfile_check(open("/dev/null", O_WRONLY)), 0);
    ck_assert_int_eq(outfile_check(open(folder, O_RDONLY)), ENOTSUP);
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(outfile_check(ends[0]), ENOTSUP);
    fd = open_disk();
    if (fd >= 0) /* no machine has to have one */
        ck_assert_int_eq(outfile_check(fd), ENOTSUP);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("outfile");

    tcase_add_test(tests, test_outfile_kinds);
    return suite_run("outfile", tests);
}
