/* The pool of OpenLDAP 2.4 in little: a task is taken back by its function and its data, not by a cookie. */
#include <pthread.h>
#include <stddef.h>
#include "ldap_old.h"

static struct {
    start_t *start;
    void *arg;
} tasks[8];
static int count;

int ldap_pvt_thread_pool_submit(void **pool, start_t *start, void *arg)
{
    (void)pool;
    if (count == 8)
        return -1;
    tasks[count].start = start;
    tasks[count++].arg = arg;
    return 0;
}

int ldap_pvt_thread_pool_retract(void **pool, start_t *start, void *arg)
{
    (void)pool;
    for (int i = 0; i < count; i++)
        if (tasks[i].start == start && tasks[i].arg == arg) {
            tasks[i].start = NULL;
            return 1;
        }
    return 0;
}

static void *work(void *unused)
{
    for (int i = 0; i < count; i++)
        if (tasks[i].start)
            tasks[i].start(unused, tasks[i].arg);
    return NULL;
}

void run_all(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, work, NULL);
    pthread_join(thread, NULL);
}
