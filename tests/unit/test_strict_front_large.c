// promise: BATON_STRICT takes the short way for more words than it compares, too: they are a task's for its time
#define CORE_STRICT 1
#include "context/strict.h"
#include "core.h"
#include "suite.h"

enum { WORDS = STRICT_BYTES / 8 + 8 };
__thread long large_row[WORDS];

static void fill(long value)
{
    for (unsigned i = 0; i < WORDS; i++)
        large_row[i] = value + i;
}

static void look_for(void *value)
{
    for (unsigned i = 0; i < WORDS; i++)
        ck_assert_int_eq(large_row[i], *(long *)value + i);
}

static void look_for_and_change(void *value)
{
    ck_assert_uint_eq(thread_self->depth, 0); /* the short way */
    look_for(value);
    fill(700);
}

/* What the thread has changes between tasks, or does not. */
START_TEST(test_strict_front_large_puts_back)
{
    for (long own = 0; own < 6; own++) {
        long given = 300, now = 100 + own / 2;

        fill(given);
        struct context *context = context_capture(FAMILY_UNIT);
        fill(now);
        core_run(context, look_for_and_change, &given);
        look_for(&now);
    }
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("strict_front_large");

    core_start("BATON_CARRY=tls:large_row@main");
    tcase_add_test(tests, test_strict_front_large_puts_back);
    return suite_run("strict_front_large", tests);
}
