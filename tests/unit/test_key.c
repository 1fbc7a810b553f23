// promise: a key is bound where it is the one that its variable was given, and not where only the number is the same
#include <dlfcn.h>

#include "core.h"
#include "suite.h"

pthread_key_t own_key, stored_key, taken_key, unused_key;
static pthread_key_t elsewhere; /* a variable that nobody names */

/* As a hooked pthread_key_create has it, called at `caller` for `variable`. */
static pthread_key_t made(const void *variable, const void *caller)
{
    int trampoline_id;
    pthread_key_t key;

    ck_assert_int_eq(pthread_key_create(&key, key_will_create(NULL, &trampoline_id)), 0);
    key_created(trampoline_id, key, variable, caller, true);
    return key;
}

static const void *here(void)
{
    return (const char *)(uintptr_t)here + 1;
}

/* The next test may run in this process, where the number is another key's. */
static void forget(pthread_key_t *variable)
{
    core_key_delete(*variable);
    *variable = (pthread_key_t)-1;
}

static void look(void)
{
    slots_look_again();
    slots_resolve();
}

static void set_up(void)
{
    static bool is_started;
    static char carry[] = "BATON_CARRY=key:own_key;key:stored_key;key:taken_key;key:unused_key";

    if (is_started)
        return;
    is_started = true;
    core_start(carry);
}

START_TEST(test_key_is_bound_when_it_is_made_in_its_variable)
{
    ck_assert_int_eq(core_key_create(&own_key, NULL), 0);
    ck_assert(key_index_of[own_key]);
    forget(&own_key);
}
END_TEST

START_TEST(test_key_is_bound_when_its_module_stores_it_later)
{
    pthread_key_t local = 0, key = made(&local, here());

    look();
    ck_assert(!key_index_of[key]);
    stored_key = key;
    look();
    ck_assert(key_index_of[key]);
    forget(&stored_key);
}
END_TEST

START_TEST(test_key_of_another_module_is_not_the_one_that_is_named)
{
    pthread_key_t local = 0, key = made(&local, dlsym(RTLD_NEXT, "strtol"));

    taken_key = key; /* a number that happens to be there */
    look();
    ck_assert(!key_index_of[key]);
    forget(&taken_key);
}
END_TEST

/* Zero is a key, and what a variable holds that nobody has used. */
START_TEST(test_key_of_number_zero_is_not_that_of_an_unused_variable)
{
    int trampoline_id;

    ck_assert_int_eq(unused_key, 0);
    key_will_create(NULL, &trampoline_id);
    key_created(trampoline_id, 0, &elsewhere, here(), true);
    look();
    ck_assert(!key_index_of[0]);
    key_deleted(key_will_delete(0));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("key");

    tcase_add_checked_fixture(tests, set_up, NULL);
    tcase_add_test(tests, test_key_is_bound_when_it_is_made_in_its_variable);
    tcase_add_test(tests, test_key_is_bound_when_its_module_stores_it_later);
    tcase_add_test(tests, test_key_of_another_module_is_not_the_one_that_is_named);
    tcase_add_test(tests, test_key_of_number_zero_is_not_that_of_an_unused_variable);
    return suite_run("key", tests);
}
