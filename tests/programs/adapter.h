/*
 * The body of the adapters' test programs: five requests, every fifth without a context, each handed to
 * one worker that has used its own context before; a nested task inside the first. The program gives
 *     set_request(n)   makes "request n" the thread's context, 0: none
 *     seen()           the number of the thread's request, 0: none
 *     spoil()          what a task does to its context
 */
#include "carrier.h"
#include <glib.h>

static void set_request(long number);
static long seen(void);
static void spoil(void);

static long right, kept_wrong;

static void *look(void *number)
{
    right += seen() == (long)number;
    spoil();
    return NULL;
}

static void work(gpointer data, gpointer user_data)
{
    long number = (long)data - 1;
    pthread_t thread;
    right += seen() == number;
    pthread_create(&thread, NULL, look, (void *)number); /* a handoff from inside a task */
    pthread_join(thread, NULL);
    right += seen() == number;
    spoil();
}


static int main_of_test(void)
{
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (long i = 1; i <= 10; i++) {
        set_request(i % 5);
        g_thread_pool_push(pool, (gpointer)(i % 5 + 1), NULL);
        kept_wrong += seen() != i % 5;
    }
    set_request(7);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("right", right, 30);
    expect("submitter wrong", kept_wrong, 0);
    expect("submitter has", seen(), 7);
    set_request(0);
    return verdict();
}
