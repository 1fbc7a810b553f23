// A forked child has what its own thread had, and nothing of what the other threads of its parent had under way.
// libs: glib-2.0
// usage: fork_owns [CARRIER]
#include "carrier.h"
#include <glib.h>
#include <sys/wait.h>

static struct gate workers = GATE_CLOSED, pushed = GATE_CLOSED;

static void work(gpointer data, gpointer user_data)
{
    gate_wait(&workers);
}

static void *pusher(void *pool)
{
    set_current(8);
    for (int i = 0; i < 50; i++)
        g_thread_pool_push(pool, pool, NULL);
    gate_wait(&pushed);
    set_current(0);
    return NULL;
}

static void *body(void *seen)
{
    *(long *)seen = current();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_t other, thread;
    long seen = -1;
    int status;
    carrier_choose(argc > 1 ? argv[1] : "key");
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    pthread_create(&other, NULL, pusher, pool);
    gate_await(&workers, 1);
    gate_await(&pushed, 1);
    set_current(5);
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        pthread_create(&thread, NULL, body, &seen);
        pthread_join(thread, NULL);
        expect("thread of the child sees", seen, 5);
        set_current(0);
        exit(verdict());
    }
    waitpid(pid, &status, 0);
    gate_open(&workers);
    gate_open(&pushed);
    pthread_join(other, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    set_current(0);
    expect("child's status", WIFEXITED(status) ? WEXITSTATUS(status) : -1, 0);
    printf("child %ld\n", (long)pid);
    return verdict();
}
