// fork from a task: the child has the forking thread's context, works on, and ends well.
// libs: glib-2.0
// usage: fork_in_task [CARRIER [exec]]
#include "carrier.h"
#include <glib.h>
#include <sys/wait.h>

static int with_exec;

static void *body(void *seen)
{
    *(long *)seen = current();
    return NULL;
}

static void child_work(gpointer data, gpointer user_data)
{
    *(long *)data = current();
}

/* In the child: the value is there, and handoffs work. */
static int child(int number)
{
    long in_thread = -1, in_pool = -1;
    pthread_t thread;
    if (current() != number)
        return 10;
    set_current(number + 100);
    pthread_create(&thread, NULL, body, &in_thread);
    pthread_join(thread, NULL);
    GThreadPool *pool = g_thread_pool_new(child_work, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, &in_pool, NULL);
    set_current(0);
    g_thread_pool_free(pool, FALSE, TRUE);
    return in_thread != number + 100 ? 11 : in_pool != number + 100 ? 12 : 0;
}

static void work(gpointer data, gpointer user_data)
{
    int number = GPOINTER_TO_INT(data), status;
    pid_t pid = fork();
    if (pid == 0) {
        if (with_exec)
            execlp("true", "true", (char *)NULL);
        _exit(child(number));
    }
    waitpid(pid, &status, 0);
    printf("child %d ends with %d\n", number, WIFEXITED(status) ? WEXITSTATUS(status) : 256);
    expect("the task still has", current(), number);
    if (!WIFEXITED(status) || WEXITSTATUS(status))
        wrong_results++;
}

int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IONBF, 0);
    carrier_choose(argc > 1 ? argv[1] : "key");
    with_exec = argc > 2;
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (int i = 1; i <= 10; i++) {
        set_current(i);
        g_thread_pool_push(pool, GINT_TO_POINTER(i), NULL);
    }
    set_current(0);
    g_thread_pool_free(pool, FALSE, TRUE);
    return verdict();
}
