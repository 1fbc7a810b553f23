// A server with a pool of its own that keeps its context in a GPrivate, whose key GLib puts on the heap, beside one that
// is a buffer. Says how many tasks saw their request.
// libs: glib-2.0
#include <glib.h>
#include <stdio.h>

enum { REQUESTS = 40, WORKERS = 2 };

struct job {
    void (*run)(void *arg);
    void *arg;
};

static GPrivate request_private = G_PRIVATE_INIT(NULL), buffer_private = G_PRIVATE_INIT(g_free);
static GMutex lock;
static GCond wanted, finished;
static GQueue jobs = G_QUEUE_INIT;
static gboolean is_closed;
static int right, wrong;

__attribute__((noinline)) void pool_submit(void (*run)(void *arg), void *arg)
{
    struct job *job = g_new(struct job, 1);
    job->run = run;
    job->arg = arg;
    g_mutex_lock(&lock);
    g_queue_push_tail(&jobs, job);
    g_cond_signal(&wanted);
    g_mutex_unlock(&lock);
}

static void *worker(void *unused)
{
    g_mutex_lock(&lock);
    for (;;) {
        struct job *job;
        while (!(job = g_queue_pop_head(&jobs)) && !is_closed)
            g_cond_wait(&wanted, &lock);
        if (!job)
            break;
        g_mutex_unlock(&lock);
        job->run(job->arg);
        g_free(job);
        g_mutex_lock(&lock);
    }
    g_mutex_unlock(&lock);
    return unused;
}

__attribute__((noinline)) static char *buffer(void)
{
    if (!g_private_get(&buffer_private))
        g_private_set(&buffer_private, g_malloc0(64));
    return g_private_get(&buffer_private);
}

static void task(void *arg)
{
    gboolean is_right = g_private_get(&request_private) == arg;
    buffer()[0] = 1;
    g_mutex_lock(&lock);
    *(is_right ? &right : &wrong) += 1;
    g_cond_signal(&finished);
    g_mutex_unlock(&lock);
}

int main(void)
{
    GThread *threads[WORKERS];

    for (int i = 0; i < WORKERS; i++)
        threads[i] = g_thread_new("pool", worker, NULL);
    for (long request = 1; request <= REQUESTS; request++) {
        g_private_set(&request_private, (void *)request);
        buffer()[0] = 1;
        pool_submit(task, (void *)request);
        g_mutex_lock(&lock);
        while (right + wrong < request)
            g_cond_wait(&finished, &lock);
        g_mutex_unlock(&lock);
    }
    g_mutex_lock(&lock);
    is_closed = TRUE;
    g_cond_broadcast(&wanted);
    g_mutex_unlock(&lock);
    for (int i = 0; i < WORKERS; i++)
        g_thread_join(threads[i]);
    printf("right %d wrong %d\n", right, wrong);
    return right != REQUESTS;
}
