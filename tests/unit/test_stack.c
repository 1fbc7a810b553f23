/* Telling stacks apart: one thread's from another's, and from other memory. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

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

/* Coroutines that switch by themselves may lie side by side in one block: then nobody knows. */
START_TEST(test_stack_of_ones_own_making_is_not_known)
{
    char *heap = malloc(100000);

    ck_assert(!stack_is_same((uintptr_t)heap, (uintptr_t)heap + 90000));
    free(heap);
}
END_TEST

static int is_same_as_interrupted, is_same_in_handler;
static uintptr_t interrupted;

static void on_signal(int number)
{
    int here;

    (void)number;
    is_same_as_interrupted = stack_is_same((uintptr_t)&here, interrupted);
    is_same_in_handler = stack_is_same((uintptr_t)&here, deeper(2));
}

/* An array of a frame as the handlers' stack: the frames below it are not its own. */
START_TEST(test_stack_of_handlers_is_another)
{
    static struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_ONSTACK};
    char array[65536];
    stack_t stack = {.ss_sp = array, .ss_size = sizeof array}, none = {.ss_flags = SS_DISABLE};

    interrupted = deeper(0);
    sigaltstack(&stack, NULL);
    sigaction(SIGUSR1, &action, NULL);
    raise(SIGUSR1);
    sigaltstack(&none, NULL);
    ck_assert(!is_same_as_interrupted);
    ck_assert(is_same_in_handler);
}
END_TEST

/* Neither a descriptor nor /proc is needed. */
START_TEST(test_stack_is_known_without_descriptors)
{
    struct rlimit usual, none;
    bool is_same;
    int here;

    getrlimit(RLIMIT_NOFILE, &usual);
    none = (struct rlimit){0, usual.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    is_same = stack_is_same((uintptr_t)&here, deeper(100));
    setrlimit(RLIMIT_NOFILE, &usual); /* who reports the outcome needs a file */
    ck_assert(is_same);
}
END_TEST

int main(void)
{
    TCase *tests = tcase_create("stack");

    tcase_add_test(tests, test_stack_is_one);
    tcase_add_test(tests, test_stack_of_another_thread_is_another);
    tcase_add_test(tests, test_stack_is_not_the_heap);
    tcase_add_test(tests, test_stack_of_ones_own_making_is_not_known);
    tcase_add_test(tests, test_stack_of_handlers_is_another);
    tcase_add_test(tests, test_stack_is_known_without_descriptors);
    return suite_run("stack", tests);
}
