// promise: what the kernel told the process at its start is found behind an environment of which something was taken out
#include <link.h>

#include "base/auxv.h"
#include "suite.h"

START_TEST(test_auxv_behind_what_unsetenv_has_left)
{
    static char name[] = "program", variable[] = "A=1";
    const long stack[] = {1,    (long)name, 0, (long)variable, 0, 0, 0, AT_PAGESZ,
                          8192, AT_SECURE,  1, AT_NULL,        0};

    auxv_stack = stack;
    ck_assert_uint_eq(auxv_get(AT_PAGESZ), 8192);
    ck_assert_uint_eq(auxv_get(AT_SECURE), 1);
    ck_assert_uint_eq(auxv_get(AT_UID), 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("auxv");

    tcase_add_test(tests, test_auxv_behind_what_unsetenv_has_left);
    return suite_run("auxv", tests);
}
