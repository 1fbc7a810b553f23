// A variable whose initial value is not zero: a submitter that never set it gives that value.
// libs: glib-2.0
// usage: tls_initial
#include "carrier.h"
#include <glib.h>

__thread long level = 3;
__thread char user[40] = "nobody";
static long saw[4];
static char saw_user[4][40];

static void work(gpointer data, gpointer user_data)
{
    long number = (long)data;
    saw[number] = level;
    strcpy(saw_user[number], user);
    level = 55;
    strcpy(user, "left by a task");
}

int main(void)
{
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    level = 9;
    strcpy(user, "alice in a long coat");
    g_thread_pool_push(pool, (gpointer)1, NULL);
    level = 3;
    strcpy(user, "nobody");
    g_thread_pool_push(pool, (gpointer)2, NULL);
    level = 0;
    strcpy(user, "");
    g_thread_pool_push(pool, (gpointer)3, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("set by the submitter", saw[1], 9);
    expect("as at the start", saw[2], 3);
    expect("zero is a value", saw[3], 0);
    printf("users <%s> <%s> <%s>\n", saw_user[1], saw_user[2], saw_user[3]);
    return verdict();
}
