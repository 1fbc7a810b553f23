// Three values behind functions: set in one order when a task begins, put back in the other when it ends.
// libs: glib-2.0
#include "carrier.h"
#include <glib.h>

static __thread void *values[3];
static char order[64]; /* of the worker's calls; it is asked when the worker has ended */
static size_t length;
static pthread_t submitter;

static void note(int number, void *value)
{
    if (!pthread_equal(pthread_self(), submitter) && length < sizeof(order) - 1)
        order[length++] = (char)('1' + number);
    values[number] = value;
}

#define FUNCTIONS(name, number)                                    \
    __attribute__((noinline, used)) void *name##_get(void)         \
    {                                                              \
        return values[number];                                     \
    }                                                              \
    __attribute__((noinline, used)) void name##_set(void *value)   \
    {                                                              \
        note(number, value);                                       \
    }
FUNCTIONS(one, 0)
FUNCTIONS(two, 1)
FUNCTIONS(three, 2)

__attribute__((noinline, used)) void three_free(void *value)
{
}

static void work(gpointer data, gpointer user_data)
{
    if (length < sizeof(order) - 1)
        order[length++] = '-';
}

int main(void)
{
    submitter = pthread_self();
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    one_set((void *)1L);
    two_set((void *)2L);
    three_set((void *)3L);
    g_thread_pool_push(pool, pool, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    printf("order %s\n", order);
    expect("as it should be", strcmp(order, "123-321") == 0, 1);
    return verdict();
}
