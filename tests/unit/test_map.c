// promise: a map knows what was put in and not taken out, and gives back what it took for many once it is empty
#include <stdint.h>

#include "base/map.h"
#include "suite.h"

static struct map map;

static void *key(uintptr_t n)
{
    return (void *)(n * 48);
}

static void fill(uintptr_t count)
{
    uintptr_t in = 0;

    for (uintptr_t n = 1; n <= count; n++)
        in += map_put(&map, key(n), (void *)(n + 1), NULL);
    ck_assert_uint_eq(in, count);
    ck_assert_uint_eq(map.used, count);
}

static void empty(uintptr_t count)
{
    uintptr_t right = 0;

    for (uintptr_t n = 1; n <= count; n++) {
        right += (uintptr_t)map_take(&map, key(n)) == n + 1 && !map_find(&map, key(n)) &&
                 (n == count || (uintptr_t)map_find(&map, key(count)) == count + 1);
    }
    ck_assert_uint_eq(right, count);
    ck_assert_uint_eq(map.used, 0);
}

START_TEST(test_map_of_few_keeps_its_room)
{
    fill(100);
    empty(100);
    ck_assert_uint_gt(map.capacity, 100);
    fill(100);
    empty(100);
}
END_TEST

START_TEST(test_map_of_many_gives_its_room_back_when_it_is_empty)
{
    for (int i = 0; i < 3; i++) {
        fill(60000);
        ck_assert_uint_gt(map.capacity, 60000);
        empty(60000);
        ck_assert_uint_eq(map.capacity, 0);
        ck_assert_ptr_null(map_take(&map, key(1)));
        ck_assert_ptr_null(map_find(&map, key(1)));
    }
}
END_TEST

START_TEST(test_map_tells_what_it_replaces)
{
    void *old;

    ck_assert(map_put(&map, key(1), key(2), &old));
    ck_assert_ptr_null(old);
    ck_assert(map_put(&map, key(1), key(3), &old));
    ck_assert_ptr_eq(old, key(2));
    ck_assert_ptr_eq(map_take(&map, key(1)), key(3));
    ck_assert_ptr_null(map_take(&map, key(1)));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("map");

    tcase_add_test(tests, test_map_of_few_keeps_its_room);
    tcase_add_test(tests, test_map_of_many_gives_its_room_back_when_it_is_empty);
    tcase_add_test(tests, test_map_tells_what_it_replaces);
    return suite_run("map", tests);
}
