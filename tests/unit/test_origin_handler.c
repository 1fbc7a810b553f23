// promise: what a signal handler sets while its thread is leaving the list of origins is still looked at
#include "base/lock.h"

static void (*interrupt)(void);

/* A handler that runs behind the last look and before the thread is out. */
static void drop_and_interrupt(struct lock *lock)
{
    void (*handler)(void) = interrupt;

    lock_drop(lock);
    interrupt = 0;
    if (handler)
        handler();
}

#define lock_drop drop_and_interrupt
#include "slots/origin.c"
#undef lock_drop

#include "suite.h"

static struct slot slot = {.key_index = SLOT_NO_KEY, .policy = POLICY_WEAK};
static int value, owner;

static void set_in_handler(void)
{
    origin_set(&owner, &slot);
}

START_TEST(test_origin_handler_behind_the_last_look_is_seen)
{
    struct origin *origin = origin_get(&slot, &value, &owner, NULL);

    ck_assert_ptr_nonnull(origin);
    ck_assert_int_eq(origin_look(origin), ORIGIN_CURRENT);
    interrupt = set_in_handler;
    origin_ref(origin); /* one use, of any kind: another one would find it */
    ck_assert_ptr_null(own.owner);
    ck_assert_int_eq(origin_look(origin), ORIGIN_CHANGED);
    origin_put(origin);
    origin_put(origin);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("origin_handler");

    tcase_add_test(tests, test_origin_handler_behind_the_last_look_is_seen);
    return suite_run("origin_handler", tests);
}
