// promise: a shadow vtable is the type's own with some slots replaced, as far as its segment goes
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "interpose/vtable.h"
#include "suite.h"

struct object {
    void **vptr;
    int ran;
};

static void run(struct object *object)
{
    object->ran = 1;
}
static void stop(struct object *object)
{
    object->ran = 2;
}
static void other(struct object *object)
{
    object->ran = 3;
}
static void ours(struct object *object)
{
    ((void (*)(struct object *))vtable_real(object->vptr)[0])(object);
    object->ran += 10;
}

static const int type_information;

/* As a compiler lays it out: offsets, type information, then the functions; read-only. */
static void *const type[] = {(void *)40, (void *)0, (void *)&type_information, run, stop};
static void *type_writable[] = {(void *)40, (void *)0, (void *)&type_information, run, stop};

static const struct vtable_set runs = {.count = 1, .replaced = {{0, ours}}};
static const struct vtable_set stops = {.count = 2, .replaced = {{1, ours}, {0, other}}};
static const struct vtable_set far = {.count = 1, .replaced = {{2, ours}}};

START_TEST(test_vtable_replaces_slots_and_keeps_the_rest)
{
    void **real = (void **)(uintptr_t)(type + 3);
    void **shadow = vtable_shadow(&runs, real);
    struct object object = {shadow, 0};

    ck_assert_ptr_nonnull(shadow);
    ck_assert(vtable_is_shadow(&runs, shadow));
    ck_assert(!vtable_is_shadow(&runs, real));
    ck_assert_ptr_eq(vtable_real(shadow), real);
    ck_assert_mem_eq(shadow - 3, type, 3 * sizeof(void *));
    ck_assert_ptr_eq(shadow[1], stop);
    ((void (*)(struct object *))shadow[0])(&object);
    ck_assert_int_eq(object.ran, 11);
}
END_TEST

START_TEST(test_vtable_one_shadow_for_a_type_and_set)
{
    void **real = (void **)(uintptr_t)(type + 3);
    void **shadow = vtable_shadow(&runs, real);

    ck_assert_ptr_eq(vtable_shadow(&runs, real), shadow);
    ck_assert_ptr_ne(vtable_shadow(&stops, real), shadow);
    ck_assert_ptr_eq(vtable_shadow(&stops, real)[0], other);
    ck_assert_ptr_eq(vtable_shadow(&stops, real)[1], ours);
}
END_TEST

START_TEST(test_vtable_another_type_at_the_same_place)
{
    void **first = vtable_shadow(&runs, type_writable + 3);
    void **second;

    type_writable[3] = stop;
    second = vtable_shadow(&runs, type_writable + 3);
    ck_assert_ptr_nonnull(second);
    ck_assert_ptr_ne(second, first);
    type_writable[3] = run;
    ck_assert_ptr_eq(vtable_shadow(&runs, type_writable + 3), first);
}
END_TEST

START_TEST(test_vtable_of_no_module)
{
    void **words = calloc(300, sizeof *words);

    memcpy(words + 40, type, sizeof type);
    ck_assert_ptr_null(vtable_shadow(&runs, words + 43));
    ck_assert_ptr_null(vtable_shadow(&runs, NULL));
    ck_assert_ptr_null(vtable_shadow(&runs, (void **)((char *)(uintptr_t)(type + 3) + 1)));
    free(words);
}
END_TEST

START_TEST(test_vtable_slot_that_is_no_function)
{
    /* Behind the table lies whatever lies there, but in this one a number. */
    static void *const short_type[] = {(void *)0, (void *)&type_information, run, stop, (void *)7};

    ck_assert_ptr_null(vtable_shadow(&far, (void **)(uintptr_t)(short_type + 2)));
    ck_assert_ptr_nonnull(vtable_shadow(&runs, (void **)(uintptr_t)(short_type + 2)));
}
END_TEST

/* The first words of a segment: nothing before them is read. */
START_TEST(test_vtable_at_the_start_of_a_segment)
{
    extern const char __executable_start[];
    void **start = (void **)(uintptr_t)__executable_start;

    /* An ELF header is no vtable, but reading it so must not go below the first page. */
    ck_assert_ptr_null(vtable_shadow(&runs, start));
    ck_assert_ptr_null(vtable_shadow(&runs, start + 2));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("vtable");

    tcase_add_test(tests, test_vtable_replaces_slots_and_keeps_the_rest);
    tcase_add_test(tests, test_vtable_one_shadow_for_a_type_and_set);
    tcase_add_test(tests, test_vtable_another_type_at_the_same_place);
    tcase_add_test(tests, test_vtable_of_no_module);
    tcase_add_test(tests, test_vtable_slot_that_is_no_function);
    tcase_add_test(tests, test_vtable_at_the_start_of_a_segment);
    return suite_run("vtable", tests);
}
