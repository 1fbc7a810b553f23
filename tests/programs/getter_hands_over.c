// A getter that hands work over each time that a submitter is asked: all of that runs.
// libs: glib-2.0
#include <glib.h>
#include <stdio.h>

static __thread long value;
static __thread int is_asked, hands_over;
static GThreadPool *pool;
static gint jobs, extra, extra_run, right;

__attribute__((noinline, used)) void *request_get(void)
{
    if (hands_over && !is_asked) {
        is_asked = 1;
        g_atomic_int_inc(&extra);
        g_thread_pool_push(pool, (gpointer)1000L, NULL);
        is_asked = 0;
    }
    return (void *)value;
}

__attribute__((noinline, used)) void request_set(void *wanted)
{
    value = (long)wanted;
}

static void work(gpointer data, gpointer user_data)
{
    if ((long)data == 1000) {
        g_atomic_int_inc(&extra_run);
        return;
    }
    g_atomic_int_inc(&jobs);
    right += value == (long)data;
}

int main(void)
{
    pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    hands_over = 1;
    for (long i = 1; i <= 100; i++) {
        request_set((void *)i);
        g_thread_pool_push(pool, (gpointer)i, NULL);
    }
    hands_over = 0;
    request_set(NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    printf("jobs %d, right %d, of the getter's %d all ran: %d\n", jobs, right, extra, extra == extra_run);
    return jobs != 100 || right != 100 || extra != extra_run;
}
