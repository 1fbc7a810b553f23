// Children forked while other threads make keys, values and contexts all the time never hang in a lock of ours.
// libs: glib-2.0
// usage: fork_locks [CHILDREN]
#include "carrier.h"
#include <glib.h>
#include <sys/wait.h>

pthread_key_t owned_key;
static int stop;

/* With a destructor, values are counted; whoever made one has long forgotten it. */
static void ignore(void *value)
{
}

static void work(gpointer data, gpointer user_data)
{
}

/* A value of its own for every task: each is noted, counted and forgotten. */
static void *pusher(void *pool)
{
    for (long i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED); i++) {
        pthread_setspecific(owned_key, malloc(16));
        g_thread_pool_push(pool, pool, NULL);
        while (g_thread_pool_unprocessed(pool) > 50)
            sched_yield();
    }
    return NULL;
}

static void *key_maker(void *unused)
{
    while (!__atomic_load_n(&stop, __ATOMIC_RELAXED)) {
        pthread_key_t key;
        if (pthread_key_create(&key, free) == 0)
            pthread_key_delete(key);
    }
    return NULL;
}

static void *body(void *seen)
{
    *(void **)seen = pthread_getspecific(owned_key);
    return NULL;
}

static int child(void)
{
    int right = 0;
    end_if_left();
    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        void *seen = NULL, *value = malloc(16);
        pthread_key_t key;
        pthread_key_create(&key, free);
        pthread_setspecific(owned_key, value);
        pthread_create(&thread, NULL, body, &seen);
        pthread_join(thread, NULL);
        pthread_key_delete(key);
        right += seen == value;
    }
    return right == 3 ? 0 : 1;
}

int main(int argc, char **argv)
{
    pthread_t threads[3];
    int children = argc > 1 ? atoi(argv[1]) : 100, good = 0;
    pthread_key_create(&owned_key, ignore);
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, i < 2 ? pusher : key_maker, pool);
    for (int i = 0; i < children; i++) {
        int status = 0;
        pid_t pid = fork();
        if (pid == 0)
            _exit(child());
        waitpid(pid, &status, 0);
        good += WIFEXITED(status) && WEXITSTATUS(status) == 0;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("good children", good, children);
    return verdict();
}
