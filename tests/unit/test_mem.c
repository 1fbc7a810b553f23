/* Memory of our own: zeroed, aligned, used again, safe between threads. */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "suite.h"

static bool is_zero(const char *block, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (block[i])
            return false;
    }
    return true;
}

START_TEST(test_mem_gives_zeroes_that_are_aligned)
{
    for (size_t size = 1; size < 100000; size = size * 3 / 2 + 1) {
        char *block = mem_alloc(size);

        ck_assert_ptr_nonnull(block);
        ck_assert_uint_eq((uintptr_t)block % 16, 0);
        ck_assert(is_zero(block, size));
        memset(block, 0xff, size);
        mem_free(block, size);
        block = mem_alloc(size);
        ck_assert(is_zero(block, size));
        mem_free(block, size);
    }
}
END_TEST

START_TEST(test_mem_uses_blocks_again)
{
#ifndef __SANITIZE_ADDRESS__ /* there a block is poisoned for a while */
    void *block = mem_alloc(200);
    unsigned same = 0;

    for (unsigned i = 0; i < 100000; i++) {
        void *other;

        mem_free(block, 200);
        other = mem_alloc(200);
        same += other == block;
        block = other;
    }
    ck_assert_uint_gt(same, 90000);
    mem_free(block, 200);
#endif
}
END_TEST

START_TEST(test_mem_frees_null)
{
    mem_free(NULL, 100);
}
END_TEST

START_TEST(test_mem_maps_and_unmaps_pages)
{
    char *pages = mem_map(1 << 20);

    ck_assert_ptr_nonnull(pages);
    ck_assert(is_zero(pages, 1 << 20));
    pages[0] = pages[(1 << 20) - 1] = 1;
    mem_unmap(pages, 1 << 20);
    ck_assert_ptr_null(mem_map((size_t)1 << 60));
}
END_TEST

enum { BLOCKS = 64, THREADS = 4 };

/* Every block belongs to one thread: each writes its own mark and finds it again. */
static void *worker(void *own_mark)
{
    char *blocks[BLOCKS] = {NULL};
    size_t sizes[BLOCKS] = {0};
    unsigned random = (unsigned)(uintptr_t)own_mark;
    intptr_t wrong = 0;

    for (unsigned i = 0; i < 100000; i++) {
        unsigned place;

        random = random * 1103515245 + 12345;
        place = random >> 16 & (BLOCKS - 1);
        if (blocks[place]) {
            for (size_t k = 0; k < sizes[place]; k++)
                wrong += blocks[place][k] != (char)(intptr_t)own_mark;
            mem_free(blocks[place], sizes[place]);
            blocks[place] = NULL;
        } else {
            sizes[place] = random >> 8 & 255;
            sizes[place] += !sizes[place];
            blocks[place] = mem_alloc(sizes[place]);
            wrong += !is_zero(blocks[place], sizes[place]);
            memset(blocks[place], (char)(intptr_t)own_mark, sizes[place]);
        }
    }
    for (unsigned i = 0; i < BLOCKS; i++)
        mem_free(blocks[i], sizes[i]);
    return (void *)wrong;
}

START_TEST(test_mem_keeps_threads_apart)
{
    pthread_t threads[THREADS];

    for (intptr_t i = 0; i < THREADS; i++)
        pthread_create(&threads[i], NULL, worker, (void *)(i + 1));
    for (int i = 0; i < THREADS; i++) {
        void *wrong;

        pthread_join(threads[i], &wrong);
        ck_assert_ptr_null(wrong);
    }
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("mem");

    tcase_set_timeout(tests, 60);
    tcase_add_test(tests, test_mem_gives_zeroes_that_are_aligned);
    tcase_add_test(tests, test_mem_uses_blocks_again);
    tcase_add_test(tests, test_mem_frees_null);
    tcase_add_test(tests, test_mem_maps_and_unmaps_pages);
    tcase_add_test(tests, test_mem_keeps_threads_apart);
    return suite_run("mem", tests);
}
