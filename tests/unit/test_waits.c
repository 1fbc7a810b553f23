// promise: of all that waited the verdict names those that were woken most, never who only waits for an answer, and believes nothing of what it reads
#include <string.h>

#include "base/waits.h"
#include "suite.h"

static struct waits_page page;

static void begin(void)
{
    memset(&page, 0, sizeof page);
    memcpy(page.magic, WAITS_MAGIC, sizeof page.magic);
    page.modules[0] =
        (struct waits_module){.lo = 0x1000, .hi = 0x9000, .base = 0x1000, .name = "server"};
}

static struct waits_object *add(unsigned place, uint64_t waiter, uint64_t waker, uint32_t wakes,
                                uint32_t thread)
{
    struct waits_object *object = &page.objects[place];

    atomic_store(&object->object, place + 1);
    object->waiter = waiter;
    object->waker = waker;
    object->wakes = wakes;
    object->threads_count = 1;
    object->threads[0] = thread;
    return object;
}

START_TEST(test_waits_most)
{
    struct waits_chosen chosen;

    begin();
    ck_assert(!waits_choose(&page, &chosen));
    add(0, 0x2000, 0x3000, 4, 7);
    add(9, 0x2000, 0x3000, 4, 8); /* another object of the same two places */
    add(200, 0x4000, 0x5000, 7, 9);
    ck_assert(waits_choose(&page, &chosen));
    ck_assert_uint_eq(chosen.waiter.address, 0x1fff); /* in the call */
    ck_assert_uint_eq(chosen.waker.address, 0x2fff);
    ck_assert_ptr_eq(chosen.waiter.module, &page.modules[0]);
    ck_assert_uint_eq(chosen.wakes, 8);
    ck_assert_uint_eq(chosen.threads, 2);
}
END_TEST

START_TEST(test_waits_for_an_answer)
{
    struct waits_chosen chosen;

    begin();
    add(0, 0x4000, 0x5000, 900, 1)->has_main = 1;
    ck_assert(waits_choose(&page, &chosen)); /* nobody else waits */
    ck_assert_uint_eq(chosen.waiter.address, 0x3fff);
    add(1, 0x2000, 0x3000, 2, 7);
    ck_assert(waits_choose(&page, &chosen));
    ck_assert_uint_eq(chosen.waiter.address, 0x1fff);
    add(2, 0x6000, 0x7000, 1000, 1)->has_main = 1;
    ck_assert(waits_choose(&page, &chosen));
    ck_assert_uint_eq(chosen.waiter.address, 0x1fff);
}
END_TEST

/* What stands for a pool that saw none of the values, and all that makes it none. */
START_TEST(test_waits_held)
{
    struct waits_chosen chosen;
    struct waits_object *pool;

    begin();
    page.modules[0].is_own = 1;
    pool = add(0, 0x2000, 0x3000, 5, 7);
    pool->held = pool->bare = 4;
    pool->missed = pool->turns = 3;
    add(1, 0x4000, 0x5000, 900, 8); /* woken more, by nobody that had any */
    ck_assert(waits_choose(&page, &chosen));
    ck_assert_uint_eq(chosen.waiter.address, 0x1fff);
    ck_assert_uint_eq(chosen.held, 4);
    ck_assert_uint_eq(chosen.missed, 0);
    pool->missed = 4; /* looked for it, while it was always the same */
    ck_assert(waits_choose(&page, &chosen));
    ck_assert_uint_eq(chosen.missed, 0);
    pool->turns = 4;
    ck_assert(waits_choose(&page, &chosen));
    ck_assert_uint_eq(chosen.missed, 4);
#define IS_NONE(WHAT)                            \
    do {                                         \
        struct waits_page before = page;         \
        WHAT;                                    \
        ck_assert(waits_choose(&page, &chosen)); \
        ck_assert_uint_eq(chosen.held, 0);       \
        ck_assert_uint_eq(chosen.missed, 0);     \
        page = before;                           \
    } while (0)
    IS_NONE(pool->held = 3);
    IS_NONE(pool->wakes = 10);
    IS_NONE(pool->bare = 3);
    IS_NONE(pool->others = 1);
    IS_NONE(pool->has_main = 1);
    IS_NONE(page.modules[0].is_own = 0);
    IS_NONE(pool->waker = 0xa000);
    IS_NONE(pool->waiter = pool->waker = 0xa000);
    ck_assert(waits_choose(&page, &chosen));
    ck_assert_uint_eq(chosen.held, 4);
}
END_TEST

START_TEST(test_waits_believes_nothing)
{
    struct waits_chosen chosen;

    begin();
    add(0, 0x2000, 0x3000, 5, 7)->threads_count = 1u << 30; /* more than there is room for */
    add(1, 0x2000, 0, 5, 7);                                /* never woken */
    add(2, 0x2000, 0x3000, 0, 7);                           /* by itself only */
    ck_assert(!waits_choose(&page, &chosen));
    add(3, 0xa000, 0x3000, 1, 7); /* in no module */
    ck_assert(waits_choose(&page, &chosen));
    ck_assert_ptr_null(chosen.waiter.module);
    page.modules[0].base = UINT64_MAX; /* an offset that is none */
    ck_assert(waits_choose(&page, &chosen));
    ck_assert_ptr_null(chosen.waker.module);
    page.magic[0] = 'x';
    ck_assert(!waits_choose(&page, &chosen));
    memset(&page, 0xff, sizeof page);
    memcpy(page.magic, WAITS_MAGIC, sizeof page.magic);
    ck_assert(!waits_choose(&page, &chosen));
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("waits");

    tcase_add_test(tests, test_waits_most);
    tcase_add_test(tests, test_waits_for_an_answer);
    tcase_add_test(tests, test_waits_held);
    tcase_add_test(tests, test_waits_believes_nothing);
    return suite_run("waits", tests);
}
