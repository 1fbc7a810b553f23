/* Telling stacks apart: one thread's from another's, and from other memory. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "context/stack.h"
#include "suite.h"

static __attribute__((noinline)) uintptr_t deeper(int depth)
{
    volatile char buffer[512];
    volatile uintptr_t here = (uintptr_t)buffer;

    buffer[0] = (char)depth;
    return depth ? deeper(depth - 1) + (buffer[0] == 127) : here;
}

START_TEST(test_stack_is_one)
{
    int here;

    errno = 77;
    ck_assert(stack_is_same((uintptr_t)&here, deeper(0)));
    ck_assert(stack_is_same((uintptr_t)&here, deeper(100)));
    ck_assert_int_eq(errno, 77);
}
END_TEST

static void *other_thread(void *mine)
{
    int here;

    return (void *)(intptr_t)(!stack_is_same((uintptr_t)&here, (uintptr_t)mine) &&
                              stack_is_same((uintptr_t)&here, deeper(20)));
}

START_TEST(test_stack_of_another_thread_is_another)
{
    pthread_t thread;
    int here;
    void *answer;

    pthread_create(&thread, NULL, other_thread, &here);
    pthread_join(thread, &answer);
    ck_assert_ptr_nonnull(answer);
}
END_TEST

START_TEST(test_stack_is_not_the_heap)
{
    int here;
    void *heap = malloc(100);

    ck_assert(!stack_is_same((uintptr_t)&here, (uintptr_t)heap));
    ck_assert(!stack_is_same((uintptr_t)&here, 16));
    free(heap);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("stack");

    tcase_add_test(tests, test_stack_is_one);
    tcase_add_test(tests, test_stack_of_another_thread_is_another);
    tcase_add_test(tests, test_stack_is_not_the_heap);
    return suite_run("stack", tests);
}
