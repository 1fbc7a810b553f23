// Many threads hand over to many workers in many ways at once; every task checks its value.
// libs: glib-2.0 libuv
// usage: storm [CARRIER [ROUNDS]]
#include "carrier.h"
#include <glib.h>
#include <uv.h>

#define SUBMITTERS 4

static long rounds, right, wrong;
static GThreadPool *first, *second;

static void note(long wanted)
{
    __atomic_add_fetch(current() == wanted ? &right : &wrong, 1, __ATOMIC_RELAXED);
}

static void second_work(gpointer data, gpointer user_data)
{
    note((long)data);
    set_current(-3);
}

/* Every task hands one more over, with a value of its own. */
static void first_work(gpointer data, gpointer user_data)
{
    long number = (long)data;
    note(number);
    set_current(number + 1);
    g_thread_pool_push(second, (gpointer)(number + 1), NULL);
    set_current(-4);
}

static void uv_body(uv_work_t *request)
{
    note((long)request->data);
    set_current(-5);
}

static void uv_after(uv_work_t *request, int status)
{
    note((long)request->data);
    set_current(-6);
    free(request);
}

static void *thread_body(void *data)
{
    note((long)data);
    return NULL;
}

static void *submitter(void *argument)
{
    long base = ((long)argument + 1) * 100000000;
    uv_loop_t loop;
    uv_loop_init(&loop);
    for (long i = 0; i < rounds; i++) {
        long number = base + 10 * i;
        set_current(number + 1);
        g_thread_pool_push(first, (gpointer)(number + 1), NULL);
        uv_work_t *request = malloc(sizeof(*request));
        request->data = (void *)(number + 3);
        set_current(number + 3);
        uv_queue_work(&loop, request, uv_body, uv_after);
        if (i % 50 == 0) {
            pthread_t thread;
            set_current(number + 5);
            pthread_create(&thread, NULL, thread_body, (void *)(number + 5));
            set_current(number + 6);
            uv_run(&loop, UV_RUN_NOWAIT);
            note(number + 6);
            pthread_join(thread, NULL);
        }
    }
    set_current(base);
    uv_run(&loop, UV_RUN_DEFAULT);
    note(base);
    uv_loop_close(&loop);
    set_current(0);
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t threads[SUBMITTERS];
    setenv("UV_THREADPOOL_SIZE", "3", 1);
    carrier_choose(argc > 1 ? argv[1] : "key");
    rounds = argc > 2 ? atol(argv[2]) : 5000;
    first = g_thread_pool_new(first_work, NULL, 3, FALSE, NULL);
    second = g_thread_pool_new(second_work, NULL, 2, TRUE, NULL);
    for (long i = 0; i < SUBMITTERS; i++)
        pthread_create(&threads[i], NULL, submitter, (void *)i);
    for (int i = 0; i < SUBMITTERS; i++)
        pthread_join(threads[i], NULL);
    g_thread_pool_free(first, FALSE, TRUE);
    g_thread_pool_free(second, FALSE, TRUE);
    expect("wrong", wrong, 0);
    expect("right", right, SUBMITTERS * (rounds * 4 + (rounds + 49) / 50 * 2 + 1));
    return verdict();
}
