// No call changes errno, the signal mask or the open files, and none of it differs inside a task.
// libs: glib-2.0 libuv
// usage: errno_kept [CARRIER]
#define FUNCTIONS_SET_ERRNO
#include "carrier.h"
#include <dirent.h>
#include <glib.h>
#include <threads.h>
#include <uv.h>

static int files_open(void)
{
    int count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

static void show(const char *what)
{
    sigset_t mask;
    int error = errno;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    printf("%s: errno %d usr1 %d term %d\n", what, error, sigismember(&mask, SIGUSR1),
           sigismember(&mask, SIGTERM));
}

static void *body(void *argument)
{
    show("thread");
    errno = 33;
    return NULL;
}

static int body_c11(void *argument)
{
    show("C11 thread");
    return 0;
}

static void work(gpointer data, gpointer user_data)
{
    errno = 0;
    show("pool");
    errno = 34;
}

static void uv_body(uv_work_t *request)
{
    errno = 0;
    show("work");
}

static void uv_after(uv_work_t *request, int status)
{
    errno = 0;
    show("after");
}

int main(int argc, char **argv)
{
    static uv_work_t request;
    pthread_t thread;
    thrd_t c11;
    sigset_t usr1;
    setenv("UV_THREADPOOL_SIZE", "1", 1);
    carrier_choose(argc > 1 ? argv[1] : "key");
    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &usr1, NULL);
    set_current(4);
    int before = files_open();
    errno = 77;
    pthread_create(&thread, NULL, body, NULL);
    int error = errno;
    pthread_join(thread, NULL);
    errno = error;
    show("pthread_create");
    errno = 77;
    thrd_create(&c11, body_c11, NULL);
    error = errno;
    thrd_join(c11, NULL);
    errno = error;
    show("thrd_create");
    pthread_key_t key;
    errno = 77;
    pthread_key_create(&key, NULL);
    show("pthread_key_create");
    pthread_key_delete(key);
    show("pthread_key_delete");
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, FALSE, NULL);
    g_thread_pool_push(pool, pool, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("files opened", files_open() - before, 0);
    uv_queue_work(uv_default_loop(), &request, uv_body, uv_after);
    uv_run(uv_default_loop(), UV_RUN_DEFAULT);
    printf("files opened with libuv: %d\n", files_open() - before);
    set_current(0);
    return verdict();
}
