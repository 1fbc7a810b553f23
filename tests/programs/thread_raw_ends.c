// Threads that end by a system call of their own, one after the other, keep nothing of what they were given.
// usage: thread_raw_ends joined|detached|own|pool|owner key|tls
//   own: they have set a value   pool: from inside a task   owner: of threads that end then, whose values are destroyed
// libs: glib-2.0
#include "carrier.h"
#include <glib.h>
#include <sched.h>

enum { THREADS = 100, POOLS = 10 };

static const char *mode;
static int number, right, destroyed;

static void gone(void *value)
{
    __atomic_add_fetch(&destroyed, 1, __ATOMIC_RELAXED);
    free(value);
}

static void *leave(void *unused)
{
    right += !strcmp(mode, "owner") ? pthread_getspecific(request_key) != NULL : current() == 5;
    if (!strcmp(mode, "own"))
        set_current(6);
    __atomic_store_n(&number, (int)syscall(SYS_gettid), __ATOMIC_RELEASE);
    syscall(SYS_exit, 0);
    return unused;
}

static void task(void *unused, void *pool)
{
    leave(unused);
}

/* Until the kernel has nothing of it any more, either. */
static void *start_one(void *unused)
{
    pthread_t thread;
    int tid;

    if (!strcmp(mode, "owner"))
        pthread_setspecific(request_key, strdup("an owner's"));
    if (!strcmp(mode, "pool"))
        g_thread_pool_push(g_thread_pool_new(task, NULL, 1, TRUE, NULL), &number, NULL);
    else if (pthread_create(&thread, NULL, leave, NULL))
        return NULL;
    else if (!strcmp(mode, "detached"))
        pthread_detach(thread);
    else
        pthread_join(thread, NULL);
    while (!(tid = __atomic_exchange_n(&number, 0, __ATOMIC_ACQUIRE)))
        sched_yield();
    while (!syscall(SYS_tgkill, getpid(), tid, 0))
        sched_yield();
    return unused;
}

int main(int argc, char **argv)
{
    int count;

    mode = argc > 1 ? argv[1] : "joined";
    count = strcmp(mode, "pool") ? THREADS : POOLS;
    if (!strcmp(mode, "owner")) {
        pthread_key_create(&request_key, gone);
    } else {
        carrier_choose(argc > 2 ? argv[2] : "key");
        set_current(5);
    }
    for (int i = 0; i < count; i++) {
        pthread_t owner;

        if (strcmp(mode, "owner")) {
            start_one(NULL);
        } else {
            pthread_create(&owner, NULL, start_one, NULL);
            pthread_join(owner, NULL);
        }
    }
    printf("%d of %d saw it; %s\n", right, count,
           strcmp(mode, "owner")   ? "nothing to destroy"
           : destroyed > count / 2 ? "most values are destroyed"
                                   : "WRONG: values are kept");
    return right != count;
}
