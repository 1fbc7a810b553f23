/* The values that a destructor waits for, in every interleaving (context/values.c): of their owner's end, the contexts
 * that hold them, and the deletion of their key. */
#include <string.h>

#include "base/lock.h"
#include "model.h"
#include "suite.h"

/* What is done under the lock is done at once; before it others may go on. */
static bool is_locked;
static bool looks_after; /* others may go on after it, too: there are many more interleavings */

static void model_lock(void)
{
    model_step();
    ck_assert(!is_locked);
    is_locked = true;
}

static void model_unlock(void)
{
    is_locked = false;
    if (looks_after)
        model_step();
}

#define lock_take(lock) model_lock()
#define lock_drop(lock) model_unlock()
#include "context/values.c"
#undef lock_take
#undef lock_drop

enum { SINCE = 1 };

static char object;
static int contexts, destroyed; /* contexts that hold it, for the program's eyes */
static int owners, owned;       /* threads that have it in their slot: at the begin, and still */
static bool is_deleted;

static void destructor(void *value)
{
    ck_assert_ptr_eq(value, &object);
    ck_assert_int_eq(contexts, 0);
    ck_assert(owners > 1 || !owned); /* of several each end destroys, as in the C library */
    ck_assert(!is_deleted);
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
    owned--;
    if (!values_defer(0, SINCE, &object) && key_bindings[0].is_bound)
        destructor(&object);
}

static void key_goes(void)
{
    key_bindings[0].is_bound = false;
    is_deleted = true;
    values_forget(0);
}

/* A thread that has it hands it over for the first time, and ends. */
static void begins_and_ends(void)
{
    ck_assert(values_hold(0, SINCE, &object));
    contexts++;
    let_go();
    owner_ends();
}

static void reset_as(int owning, int holding)
{
    memset(values_table, 0, sizeof values_table);
    values_alive = 0;
    key_bindings[0] =
        (struct key_binding){.is_bound = true, .since = SINCE, .destructor = destructor};
    owned = owners = owning;
    is_deleted = false;
    destroyed = contexts = 0;
    for (int i = 0; i < holding; i++, contexts++)
        ck_assert(values_hold(0, SINCE, &object));
}

/* Two contexts have it, and its owner. */
static void reset(void)
{
    reset_as(1, 2);
}

static void reset_of_two(void)
{
    reset_as(2, 2);
}

static void reset_new(void)
{
    reset_as(2, 0);
}

/* What the owner left is to be destroyed by the last context. */
static void reset_left(void)
{
    reset_as(1, 1);
    owner_ends();
}

static void check(void)
{
    ck_assert_int_eq(contexts, 0);
    ck_assert_int_eq(values_count(), 0);
    if (is_deleted)
        ck_assert_int_le(destroyed, 1);
    else
        ck_assert_int_eq(destroyed, owners);
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
    struct model looking = {{let_go, key_goes}, reset_left, check};

    explore(owner_ends, let_go, let_go, key_goes);
    looks_after = true;
    ck_assert_uint_gt(model_explore(&looking), 4);
    looks_after = false;
}
END_TEST

START_TEST(test_model_values_of_two_owners)
{
    struct model model = {{owner_ends, owner_ends, let_go, let_go}, reset_of_two, check};
    struct model from_new = {{begins_and_ends, begins_and_ends}, reset_new, check};

    ck_assert_uint_gt(model_explore(&model), 10);
    ck_assert_uint_gt(model_explore(&from_new), 10);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("model_values");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_model_values_destroyed_once_after_owner_and_contexts);
    tcase_add_test(tests, test_model_values_of_a_key_that_goes);
    tcase_add_test(tests, test_model_values_of_two_owners);
    return suite_run("model_values", tests);
}
