// promise: whose value it is, and whether the owner still has it, is known of places, of what is seen and of what is aside
#include <pthread.h>
#include <signal.h>
#include <sys/time.h>

#include "slots/origin.h"
#include "slots/slots.h"
#include "suite.h"

static struct slot key_slot = {.key_index = 3}, copied_slot = {.key_index = SLOT_NO_KEY};
static long one, two;
static int owner, other;

START_TEST(test_origin_one_for_each_value_of_an_owner)
{
    struct origin *first = origin_get(&key_slot, &one, &owner, NULL);

    ck_assert(first && origin_get(&key_slot, &one, &owner, NULL) == first);
    ck_assert(origin_value(first) == &one && origin_slot(first) == &key_slot);
    for (unsigned i = 0; i < 3; i++) {
        struct origin *different = i == 0   ? origin_get(&key_slot, &two, &owner, NULL)
                                   : i == 1 ? origin_get(&key_slot, &one, &other, NULL)
                                            : origin_get(&copied_slot, &one, &owner, NULL);

        ck_assert(different && different != first);
        ck_assert_int_eq(origin_look(different), ORIGIN_CURRENT);
        origin_put(different);
    }
    origin_put(first);
    origin_put(first);
}
END_TEST

START_TEST(test_origin_seen_with_another_value)
{
    struct origin *origin = origin_get(&key_slot, &one, &owner, NULL), *again;

    origin_seen(&owner, &key_slot, &one);
    origin_seen(&other, &key_slot, &two);
    origin_seen(&owner, &copied_slot, &two);
    ck_assert_int_eq(origin_look(origin), ORIGIN_CURRENT);
    origin_seen(&owner, &key_slot, &two);
    ck_assert_int_eq(origin_look(origin), ORIGIN_CHANGED);
    ck_assert_ptr_eq(origin_after(origin), &two);
    /* The same value once more is another origin: what was between is not forgotten. */
    again = origin_get(&key_slot, &one, &owner, NULL);
    ck_assert_ptr_ne(again, origin);
    origin_put(again);
    origin_gone(&owner);
    ck_assert_int_eq(origin_look(origin), ORIGIN_CHANGED);
    origin_put(origin);
}
END_TEST

START_TEST(test_origin_place_is_looked_at)
{
    void *place = &one;
    struct origin *origin = origin_get(&copied_slot, &one, &owner, &place);

    ck_assert_int_eq(origin_look(origin), ORIGIN_CURRENT);
    place = NULL;
    ck_assert_int_eq(origin_look(origin), ORIGIN_CHANGED);
    ck_assert_ptr_null(origin_after(origin));
    place = &one;
    ck_assert_int_eq(origin_look(origin), ORIGIN_CHANGED);
    origin_put(origin);
}
END_TEST

START_TEST(test_origin_set_is_a_change_whatever_is_set)
{
    struct origin *own = origin_get(&copied_slot, &one, &owner, NULL), *of_task;
    struct origin *of_other = origin_get(&copied_slot, &one, &other, NULL);

    origin_set_aside(&owner);
    of_task = origin_get(&copied_slot, &one, &owner, NULL);
    origin_set(&owner, &copied_slot);
    ck_assert_int_eq(origin_look(of_task), ORIGIN_CHANGED);
    origin_back(&owner);
    ck_assert_int_eq(origin_look(own), ORIGIN_CURRENT);
    origin_set(&owner, &key_slot);
    ck_assert_int_eq(origin_look(own), ORIGIN_CURRENT);
    origin_set(&owner, &copied_slot);
    ck_assert_int_eq(origin_look(own), ORIGIN_CHANGED);
    ck_assert_int_eq(origin_look(of_other), ORIGIN_CURRENT);
    origin_put(own);
    origin_put(of_task);
    origin_put(of_other);
}
END_TEST

static const struct timeval often = {0, 20};
static volatile sig_atomic_t handled;

static void set_in_handler(int signal)
{
    handled++;
    origin_set(&owner, &copied_slot);
}

START_TEST(test_origin_set_in_a_handler_that_interrupts_anything)
{
    struct itimerval timer = {often, often};
    struct sigaction action = {.sa_handler = set_in_handler};

    sigaction(SIGVTALRM, &action, NULL);
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
    while (handled < 10) {
        struct origin *origin = origin_get(&copied_slot, &one, &owner, NULL);
        int before = handled;

        raise(SIGVTALRM);
        ck_assert(handled > before && origin_look(origin) == ORIGIN_CHANGED);
        for (int i = 0; i < 100000; i++) {
            origin_put(origin);
            origin = origin_get(&copied_slot, &one, &owner, NULL);
        }
        origin_put(origin);
    }
    timer = (struct itimerval){0};
    setitimer(ITIMER_VIRTUAL, &timer, NULL);
}
END_TEST

START_TEST(test_origin_aside_while_the_owner_runs_a_task)
{
    void *place = &one;
    struct origin *own = origin_get(&copied_slot, &one, &owner, &place), *of_task, *of_key;

    of_key = origin_get(&key_slot, &one, &owner, NULL);
    origin_set_aside(&owner);
    place = &two;
    origin_seen(&owner, &copied_slot, &two);
    of_task = origin_get(&copied_slot, &two, &owner, &place);
    ck_assert_int_eq(origin_look(own), ORIGIN_CURRENT);
    origin_set_aside(&owner);
    place = NULL;
    origin_back(&owner);
    place = &two;
    ck_assert_int_eq(origin_look(of_task), ORIGIN_CURRENT);
    place = &one;
    origin_back(&owner);
    ck_assert_int_eq(origin_look(of_task), ORIGIN_GONE);
    ck_assert_int_eq(origin_look(own), ORIGIN_CURRENT);
    ck_assert_int_eq(origin_look(of_key), ORIGIN_CURRENT);
    place = &two; /* changed before the next task, and seen then */
    origin_set_aside(&owner);
    ck_assert_int_eq(origin_look(own), ORIGIN_CHANGED);
    origin_back(&owner);
    origin_put(own);
    origin_put(of_task);
    origin_put(of_key);
}
END_TEST

START_TEST(test_origin_gone_with_its_owner_or_slot)
{
    struct origin *origin = origin_get(&key_slot, &one, &owner, NULL);

    origin_gone(&other);
    origin_slot_gone(&copied_slot);
    ck_assert_int_eq(origin_look(origin), ORIGIN_CURRENT);
    origin_gone(&owner);
    ck_assert_int_eq(origin_look(origin), ORIGIN_GONE);
    origin_put(origin);
    origin = origin_get(&key_slot, &one, &owner, NULL);
    origin_slot_gone(&key_slot);
    ck_assert_int_eq(origin_look(origin), ORIGIN_GONE);
    origin_put(origin);
}
END_TEST

START_TEST(test_origin_forked_knows_only_the_thread_that_is_there)
{
    struct origin *own = origin_get(&copied_slot, &one, &owner, NULL);
    struct origin *of_other = origin_get(&copied_slot, &one, &other, NULL);
    struct origin *of_key = origin_get(&key_slot, &one, &other, NULL);

    origin_forked(&owner);
    ck_assert_int_eq(origin_look(own), ORIGIN_CURRENT);
    ck_assert_int_eq(origin_look(of_key), ORIGIN_CURRENT);
    ck_assert_int_eq(origin_look(of_other), ORIGIN_GONE);
    origin_put(own);
    origin_put(of_other);
    origin_put(of_key);
}
END_TEST

/* Owners that come and go while others look. */
enum { THREADS = 4, ROUNDS = 2000 };
static struct origin *shared;

static void *come_and_go(void *arg)
{
    long number = 0;

    for (int i = 0; i < ROUNDS; i++) {
        struct origin *mine = origin_get(&copied_slot, &number, &number, NULL);

        origin_put(origin_ref(shared));
        origin_set_aside(&number);
        ck_assert_int_eq(origin_look(mine), ORIGIN_CURRENT);
        origin_back(&number);
        origin_seen(&number, &copied_slot, i % 2 ? NULL : &number);
        ck_assert_int_eq(origin_look(mine), i % 2 ? ORIGIN_CHANGED : ORIGIN_CURRENT);
        origin_gone(&number);
        origin_put(mine);
    }
    return NULL;
}

START_TEST(test_origin_many_owners_at_once)
{
    pthread_t threads[THREADS];

    shared = origin_get(&key_slot, &one, &owner, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, come_and_go, NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    ck_assert_int_eq(origin_look(shared), ORIGIN_CURRENT);
    origin_put(shared);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("origin");

    tcase_add_test(tc, test_origin_one_for_each_value_of_an_owner);
    tcase_add_test(tc, test_origin_seen_with_another_value);
    tcase_add_test(tc, test_origin_place_is_looked_at);
    tcase_add_test(tc, test_origin_set_is_a_change_whatever_is_set);
    tcase_add_test(tc, test_origin_set_in_a_handler_that_interrupts_anything);
    tcase_add_test(tc, test_origin_aside_while_the_owner_runs_a_task);
    tcase_add_test(tc, test_origin_gone_with_its_owner_or_slot);
    tcase_add_test(tc, test_origin_forked_knows_only_the_thread_that_is_there);
    tcase_add_test(tc, test_origin_many_owners_at_once);
    return suite_run("origin", tc);
}
