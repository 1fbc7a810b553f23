// promise: what hot paths have in line ends when functions of the program turn up later
#include <fenv.h>

#include "core.h"
#include "slots/fn.h"
#include "slots/kind.h"
#include "slots/moves.h"
#include "suite.h"

static __thread uintptr_t late_value;
static uintptr_t late_seen;

static uintptr_t late_get(void)
{
    return late_value;
}

static void late_set(uintptr_t value)
{
    late_value = value;
}

static void see(void *unused)
{
    late_seen = late_value;
}

START_TEST(test_front_late)
{
    struct slot *late = (struct slot *)(uintptr_t)&slots[1];
    struct context *before = context_capture(FAMILY_UNIT), *after;

    ck_assert(slot_word_is_right(before->epoch));
    late->fn.function[FN_GET] = (void *)late_get;
    late->fn.function[FN_SET] = (void *)late_set;
    slot_bound(late, "here", "late_get");
    slots_calls.changed(true);
    ck_assert(!slot_word_is_right(before->epoch));

    late_value = 5;
    after = context_capture(FAMILY_UNIT);
    ck_assert(!slot_word_is_right(after->epoch));
    late_value = 7;
    core_run(after, see, NULL);
    ck_assert_int_eq(late_seen, 5);
    ck_assert_int_eq(late_value, 7);
    context_release(before);
    ck_assert_int_eq(core_alive(), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("front_late");

    core_start("BATON_CARRY=fenv;fn:get=not_here_yet,set=nor_is_this");
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_front_late);
    return suite_run("front_late", tc);
}
