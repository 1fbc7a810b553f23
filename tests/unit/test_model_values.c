/* The values that a destructor waits for, in every interleaving (context/values.c): of their owner's end, the contexts
 * that hold them, and the deletion of their key. */
#include <string.h>

#include "base/lock.h"
#include "model.h"
#include "suite.h"

/* What is done under the lock is done at once; before it others may go on. */
static bool is_locked;

static void model_lock(void)
{
    model_step();
    ck_assert(!is_locked);
    is_locked = true;
}

static void model_unlock(void)
{
    is_locked = false;
}

#define lock_take(lock) model_lock()
#define lock_drop(lock) model_unlock()
#include "context/values.c"
#undef lock_take
#undef lock_drop

enum { SINCE = 1 };

static char object;
static int contexts, destroyed; /* contexts that hold it, for the program's eyes */
static bool is_owned, is_deleted;

static void destructor(void *value)
{
    ck_assert_ptr_eq(value, &object);
    ck_assert_int_eq(contexts, 0);
    ck_assert(!is_owned);
    ck_assert(!is_locked);
    destroyed++;
}

static void let_go(void)
{
    contexts--;
    values_let_go(0, SINCE, &object);
}

/* Has a reference to a context, whose task hands over. */
static void hand_on(void)
{
    ck_assert(values_hold(0, SINCE, &object));
    contexts++;
    let_go();
    let_go();
}

/* As key.c, where the C library destroys the value. */
static void owner_ends(void)
{
    is_owned = false;
    if (!values_defer(0, SINCE, &object) && key_bindings[0].is_bound)
        destructor(&object);
}

static void key_goes(void)
{
    key_bindings[0].is_bound = false;
    is_deleted = true;
    values_forget(0);
}

/* Two contexts have it, and its owner. */
static void reset(void)
{
    memset(values_table, 0, sizeof values_table);
    values_alive = 0;
    key_bindings[0] =
        (struct key_binding){.is_bound = true, .since = SINCE, .destructor = destructor};
    is_owned = true;
    is_deleted = false;
    destroyed = contexts = 0;
    for (int i = 0; i < 2; i++, contexts++)
        ck_assert(values_hold(0, SINCE, &object));
}

static void check(void)
{
    ck_assert_int_eq(contexts, 0);
    ck_assert_int_eq(values_count(), 0);
    if (is_deleted)
        ck_assert_int_le(destroyed, 1);
    else
        ck_assert_int_eq(destroyed, 1);
}

static void explore(void (*one)(void), void (*two)(void), void (*three)(void), void (*four)(void))
{
    struct model model = {{one, two, three, four}, reset, check};

    ck_assert_uint_gt(model_explore(&model), 10);
}

START_TEST(test_model_values_destroyed_once_after_owner_and_contexts)
{
    explore(owner_ends, let_go, hand_on, NULL);
}
END_TEST

START_TEST(test_model_values_of_a_key_that_goes)
{
    explore(owner_ends, let_go, let_go, key_goes);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("model_values");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_model_values_destroyed_once_after_owner_and_contexts);
    tcase_add_test(tests, test_model_values_of_a_key_that_goes);
    return suite_run("model_values", tests);
}
