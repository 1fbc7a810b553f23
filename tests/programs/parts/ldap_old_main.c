/* Hands three tasks to ldap_old.c and takes one back; says what ran. */
#include <stdio.h>
#include "ldap_old.h"

__thread long request_id;

static void *task(void *context, void *number)
{
    (void)context;
    printf("task %ld sees %ld\n", (long)number, request_id);
    return NULL;
}

static void *other(void *context, void *number)
{
    return task(context, (void *)((long)number + 100));
}

int main(void)
{
    void *pool = NULL;
    request_id = 7;
    printf("submit %d\n", ldap_pvt_thread_pool_submit(&pool, task, (void *)1));
    printf("submit %d\n", ldap_pvt_thread_pool_submit(&pool, other, (void *)1));
    printf("submit %d\n", ldap_pvt_thread_pool_submit(&pool, task, (void *)2));
    printf("retract %d\n", ldap_pvt_thread_pool_retract(&pool, task, (void *)1));
    printf("again %d\n", ldap_pvt_thread_pool_retract(&pool, task, (void *)1));
    run_all();
    return 0;
}
