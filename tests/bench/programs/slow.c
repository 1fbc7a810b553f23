/*
 * The proof that bench-check can fail: a preload in front of baton that makes each push do what no
 * handoff may do, one malloc, one locked instruction, one system call, one lock, one look-up.
 */
#include <dlfcn.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

static long locked;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static void *volatile kept;

int g_thread_pool_push(void *pool, void *data, void **error);

int g_thread_pool_push(void *pool, void *data, void **error)
{
    static int (*next)(void *, void *, void **);

    if (!next)
        next = (int (*)(void *, void *, void **))dlsym(RTLD_NEXT, "g_thread_pool_push");
    kept = malloc(48);
    free(kept);
    __atomic_fetch_add(&locked, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_getppid);
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    dlsym(RTLD_DEFAULT, "g_thread_pool_push");
    return next(pool, data, error);
}
