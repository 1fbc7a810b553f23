// libs: glib-2.0
// Threads of pools that follow each other, and a task that outlives the records of its beginning.
// usage: trace_turns turns | within COUNT   turns: prints which thread ran each request; within: a task hands over so many
#include <glib.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FIRST = 64 };

pthread_key_t request_key;
static GThreadPool *pool;
static int count;
static gint done;

static void leaf(intptr_t number)
{
    printf("%td %ld\n", number, syscall(SYS_gettid));
}

static void within(void)
{
    for (intptr_t i = FIRST + 1; i <= count; i++)
        g_thread_pool_push(pool, (gpointer)i, NULL);
}

static void task(gpointer data, gpointer user)
{
    (void)user;
    if (!count)
        leaf((intptr_t)data);
    else if ((intptr_t)data == FIRST)
        within();
    g_atomic_int_inc(&done);
}

static void run(int first, int tasks)
{
    pool = g_thread_pool_new(task, NULL, 2, TRUE, NULL);
    for (intptr_t i = first; i < first + tasks; i++) {
        pthread_setspecific(request_key, (void *)(0x10000 + i));
        g_thread_pool_push(pool, (gpointer)i, NULL);
    }
    while (g_atomic_int_get(&done) < count) /* a pool that is being freed takes no more */
        g_usleep(1000);
    g_thread_pool_free(pool, FALSE, TRUE);
}

int main(int argc, char **argv)
{
    pthread_key_create(&request_key, NULL);
    if (argc > 2 && !strcmp(argv[1], "within")) {
        count = atoi(argv[2]);
        run(1, FIRST); /* the last of them; its thread has run some before, most likely */
        return 0;
    }
    for (int turn = 0; turn < 4; turn++)
        run(1 + turn * 8, 8);
    return 0;
}
