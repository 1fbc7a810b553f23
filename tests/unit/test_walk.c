// promise: a child that is forked inside a walk through the modules, by a signal handler, keeps none of its own forks waiting
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "elf/elf.h"
#include "elf/file.h"
#include "suite.h"

/* Fewer naps than a fork takes that waits as long as it may. */
enum { NAPS_FEW = 60 };

static pid_t child;

static int fork_in_here(struct dl_phdr_info *info, size_t size, void *arg)
{
    elf_fork_close();
    child = fork();
    elf_fork_open(child == 0);
    return 1;
}

static long naps(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_nvcsw;
}

/* Nobody is inside any more, not even the thread that was. */
static bool may_fork_at_once(void)
{
    long before = naps();

    elf_fork_wait();
    elf_fork_close();
    elf_fork_open(false);
    return naps() - before < NAPS_FEW;
}

START_TEST(test_walk_that_a_child_was_forked_in_is_over_in_both)
{
    int status;

    ck_assert_int_eq(elf_iterate(fork_in_here, NULL), 1);
    if (!child)
        _exit(may_fork_at_once() ? 0 : 1);
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert_int_eq(status, 0);
    ck_assert(may_fork_at_once());
}
END_TEST

static int wait_in_here(struct dl_phdr_info *info, size_t size, void *arg)
{
    long before = naps();

    elf_fork_close();
    elf_fork_open(false);
    *(long *)arg = naps() - before;
    return 1;
}

/* What the other test counts is there where somebody is inside. */
START_TEST(test_walk_is_waited_for_by_a_fork)
{
    long waited = 0;

    elf_iterate(wait_in_here, &waited);
    ck_assert_int_ge(waited, NAPS_FEW);
    ck_assert(may_fork_at_once());
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("walk");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_walk_that_a_child_was_forked_in_is_over_in_both);
    tcase_add_test(tests, test_walk_is_waited_for_by_a_fork);
    return suite_run("walk", tests);
}
