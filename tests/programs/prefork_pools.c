// A master forks workers, each of which makes a pool of its own and handles requests; all of them, or all but one, hand
// over by a way that baton knows. Or all of them write lines by a thread of their own, and the last one hands over nothing
// else.
// usage: prefork_pools right|one|lines
// libs: glib-2.0
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rest.h"

enum { WORKERS = 3, REQUESTS = 20 };

__thread long current_request;

static void look(void *data, void *is_wrong)
{
    if (current_request != (long)data)
        g_atomic_int_inc((int *)is_wrong);
}

/* A queue of its own, which no library knows. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER, taken = PTHREAD_COND_INITIALIZER;
static long waiting; /* 0: none; -1: the end */

static void put(long request)
{
    pthread_mutex_lock(&lock);
    while (waiting)
        pthread_cond_wait(&taken, &lock);
    waiting = request;
    pthread_cond_signal(&wanted);
    pthread_mutex_unlock(&lock);
}

static void *take(void *is_wrong)
{
    for (;;) {
        long request;

        pthread_mutex_lock(&lock);
        while (!waiting)
            pthread_cond_wait(&wanted, &lock);
        request = waiting;
        waiting = 0;
        pthread_cond_signal(&taken);
        pthread_mutex_unlock(&lock);
        if (request < 0)
            return NULL;
        look((void *)request, is_wrong);
    }
}

static void *write_lines(void *unused)
{
    for (;;) {
        long line;

        pthread_mutex_lock(&lock);
        while (!waiting)
            pthread_cond_wait(&wanted, &lock);
        line = waiting;
        waiting = 0;
        pthread_cond_signal(&taken);
        pthread_mutex_unlock(&lock);
        if (line < 0)
            return unused;
    }
}

static int serve_lines(int is_last)
{
    int wrong = 0;
    pthread_t thread;
    GThreadPool *pool = is_last ? NULL : g_thread_pool_new(look, &wrong, 2, FALSE, NULL);

    if (pthread_create(&thread, NULL, write_lines, NULL) != 0)
        return 1;
    for (long request = 1; request <= REQUESTS; request++) {
        current_request = request;
        if (pool)
            g_thread_pool_push(pool, (void *)request, NULL);
        if (request % 3 == 1)
            let_rest();
        put(request);
        current_request = 0;
    }
    put(-1);
    pthread_join(thread, NULL);
    if (pool)
        g_thread_pool_free(pool, FALSE, TRUE);
    return wrong;
}

static int serve(int is_own)
{
    int wrong = 0;
    pthread_t thread;
    GThreadPool *pool = is_own ? NULL : g_thread_pool_new(look, &wrong, 2, FALSE, NULL);

    if (is_own && pthread_create(&thread, NULL, take, &wrong) != 0)
        return 1;
    let_rest();
    for (long request = 1; request <= REQUESTS; request++) {
        current_request = request;
        if (is_own && request % 3 == 1)
            let_rest(); /* so that it waits, however busy the machine is */
        if (is_own)
            put(request);
        else
            g_thread_pool_push(pool, (void *)request, NULL);
        current_request = 0;
    }
    if (is_own) {
        put(-1);
        pthread_join(thread, NULL);
    } else {
        g_thread_pool_free(pool, FALSE, TRUE);
    }
    return wrong;
}

int main(int argc, char **argv)
{
    int is_one = argc > 1 && !strcmp(argv[1], "one"), status, wrong = 0;
    int is_lines = argc > 1 && !strcmp(argv[1], "lines");

    for (int i = 0; i < WORKERS; i++) {
        if (fork() == 0)
            exit(is_lines ? serve_lines(i == WORKERS - 1) : serve(is_one && i == WORKERS - 1));
    }
    while (wait(&status) > 0)
        wrong += WEXITSTATUS(status);
    printf("wrong %d\n", wrong);
    return 0;
}
