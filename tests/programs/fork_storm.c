// Children forked while other threads hand work over all the time never hang in a lock of ours.
// libs: glib-2.0
// usage: fork_storm [CARRIER [CHILDREN]]
#include "carrier.h"
#include <glib.h>
#include <sys/wait.h>

static int stop;

static void work(gpointer data, gpointer user_data)
{
}

static void *pusher(void *pool)
{
    for (long i = 1; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        set_current(i);
        if (g_thread_pool_unprocessed(pool) < 1000)
            g_thread_pool_push(pool, pool, NULL);
    }
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
    pthread_t pushers[2];
    carrier_choose(argc > 1 ? argv[1] : "key");
    int children = argc > 2 ? atoi(argv[2]) : 100, good = 0;
    GThreadPool *pool = g_thread_pool_new(work, NULL, 2, TRUE, NULL);
    for (int i = 0; i < 2; i++)
        pthread_create(&pushers[i], NULL, pusher, pool);
    for (int i = 0; i < children; i++) {
        int status = 0;
        set_current(5);
        pid_t pid = fork();
        if (pid == 0) {
            pthread_t thread;
            long seen = -1;
            end_if_left();
            pthread_create(&thread, NULL, body, &seen);
            pthread_join(thread, NULL);
            _exit(seen == 5 ? 0 : 1);
        }
        waitpid(pid, &status, 0);
        good += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(pushers[i], NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    set_current(0);
    expect("good children", good, children);
    return verdict();
}
