// promise: a map of variables is what its history says, older maps stay as they were, every value ends once
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "slots/variables_map.h"
#include "suite.h"

enum { VARS = 500, STEPS = 6000, KEPT = 20, THREADS = 4 };

static struct var *vars[VARS];
static _Atomic long alive;

static void value_end(void *value)
{
    atomic_fetch_sub(&alive, 1);
}

/* The same history, kept in the simplest way. */
struct model {
    struct vars_map *map;
    long value[VARS]; /* 0: not set */
    uint32_t count;
};

static void model_set(struct model *model, unsigned i, long value)
{
    struct vars_entry *entry = vars_entry_new(vars[i], (void *)value);
    struct vars_map *next;

    atomic_fetch_add(&alive, 1);
    ck_assert(vars_with(model->map, entry, &next));
    vars_entry_unref(entry);
    vars_unref(model->map);
    model->map = next;
    model->count += !model->value[i];
    model->value[i] = value;
}

static void model_drop(struct model *model, unsigned i)
{
    struct vars_map *next;

    ck_assert(vars_without(model->map, vars[i], &next));
    vars_unref(model->map);
    model->map = next;
    model->count -= !!model->value[i];
    model->value[i] = 0;
}

static int add_up(const struct vars_entry *entry, void *sum)
{
    *(long *)sum += (long)entry->value;
    return 0;
}

static void model_check(const struct model *model)
{
    long sum = 0, wanted = 0;

    ck_assert_uint_eq(vars_count(model->map), model->count);
    for (unsigned i = 0; i < VARS; i++) {
        const struct vars_entry *entry = vars_find(model->map, vars[i]);

        ck_assert_int_eq(entry ? (long)entry->value : 0, model->value[i]);
        wanted += model->value[i];
    }
    ck_assert_int_eq(vars_each(model->map, add_up, &sum), 0);
    ck_assert_int_eq(sum, wanted);
    ck_assert(model->map == NULL || model->count > 0);
}

static void *random_history(void *argument)
{
    unsigned seed = (unsigned)(size_t)argument;
    struct model now = {0}, kept[KEPT] = {{0}};

    for (unsigned step = 0; step < STEPS; step++) {
        unsigned i = (unsigned)rand_r(&seed) % (step % 1000 < 500 ? VARS : 40);

        if (rand_r(&seed) % 5 < 3)
            model_set(&now, i, step + 1);
        else
            model_drop(&now, i);
        if (step % 97 == 0) {
            struct model *place = &kept[(unsigned)rand_r(&seed) % KEPT];

            vars_unref(place->map);
            *place = now;
            vars_ref(place->map);
        }
        if (step % 499 == 0) {
            model_check(&now);
            for (unsigned k = 0; k < KEPT; k++)
                model_check(&kept[k]);
        }
    }
    for (unsigned i = 0; i < VARS; i++)
        model_drop(&now, i);
    ck_assert(now.map == NULL);
    for (unsigned k = 0; k < KEPT; k++)
        vars_unref(kept[k].map);
    return NULL;
}

START_TEST(test_vars_random_histories)
{
    random_history((void *)1);
    random_history((void *)2);
    ck_assert_int_eq(atomic_load(&alive), 0);
}
END_TEST

/* Threads that start from one map, each with a history of its own. */
static struct vars_map *shared;

static void *from_shared(void *argument)
{
    struct model mine = {.map = vars_ref(shared), .count = VARS / 2};

    for (unsigned i = 0; i < VARS / 2; i++)
        mine.value[i] = i + 1;
    for (unsigned round = 0; round < 20; round++) {
        for (unsigned i = (unsigned)(size_t)argument; i < VARS; i += 7)
            model_set(&mine, i, round + 1);
        for (unsigned i = round; i < VARS; i += 11)
            model_drop(&mine, i);
        model_check(&mine);
    }
    vars_unref(mine.map);
    return NULL;
}

START_TEST(test_vars_maps_are_shared_between_threads)
{
    pthread_t threads[THREADS];
    struct model first = {0};

    for (unsigned i = 0; i < VARS / 2; i++)
        model_set(&first, i, i + 1);
    shared = first.map;
    for (size_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, from_shared, (void *)i);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    model_check(&first);
    vars_unref(first.map);
    ck_assert_int_eq(atomic_load(&alive), 0);
}
END_TEST

START_TEST(test_vars_dropping_what_is_not_there_changes_nothing)
{
    struct model model = {0};
    struct vars_map *same;

    ck_assert(vars_without(NULL, vars[0], &same));
    ck_assert(same == NULL);
    model_set(&model, 1, 5);
    ck_assert(vars_without(model.map, vars[0], &same));
    ck_assert(same == model.map);
    vars_unref(same);
    vars_unref(model.map);
    ck_assert_int_eq(atomic_load(&alive), 0);
}
END_TEST

int main(void)
{
    TCase *tc = tcase_create("vars");

    for (unsigned i = 0; i < VARS; i++)
        vars[i] = vars_new_var("var", NULL, value_end);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, test_vars_random_histories);
    tcase_add_test(tc, test_vars_maps_are_shared_between_threads);
    tcase_add_test(tc, test_vars_dropping_what_is_not_there_changes_nothing);
    return suite_run("vars", tc);
}
