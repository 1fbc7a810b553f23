// promise: the live report's file has room on the disk for all that is written to it: of a full disk no thread dies
#include "base/live.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "suite.h"

static long room_of(const char *folder)
{
    char path[300];
    struct stat status;

    snprintf(path, sizeof path, "%s/counts.%d" LIVE_SUFFIX, folder, (int)getpid());
    return stat(path, &status) == 0 ? (long)status.st_blocks * 512 : 0;
}

static void *_Atomic lent;

static void begin(void *room)
{
    *(pid_t *)room = getpid();
}

START_TEST(test_live_has_room)
{
    const long head = LIVE_HEAD + 2 * LIVE_TEXT, page = sysconf(_SC_PAGESIZE);
    struct live_head layout = {.page_size = (uint32_t)page};
    char folder[] = "/tmp/live-XXXXXX", target[300];
    pid_t child;
    int status;

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(target, sizeof target, "%s/counts", folder);
    live_begin(target, &layout);
    ck_assert_ptr_nonnull(live_room());
    ck_assert_int_ge(room_of(folder), head + LIVE_PAGES * page);
    live_lend(&lent, sizeof(pid_t), begin);
    ck_assert_int_eq(*(pid_t *)lent, getpid());
    child = fork();
    if (!child) {
        bool is_right = live_fork_child(NULL) && room_of(folder) > head && lent == live_room() &&
                        *(pid_t *)lent == getpid();

        live_end();
        _exit(is_right ? 7 : 1);
    }
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(WEXITSTATUS(status), 7);
    ck_assert_int_eq(*(pid_t *)lent, getpid()); /* the child has written to its own */
    live_end();
    rmdir(folder);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("live");

    tcase_add_test(tests, test_live_has_room);
    return suite_run("live", tests);
}
