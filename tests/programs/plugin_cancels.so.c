// A plugin that cancels threads of its own, in code that nobody can unwind.
// flags: -fno-asynchronous-unwind-tables -fno-unwind-tables -fno-exceptions
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

pthread_key_t plugin_key;
static int is_waiting;

static void gone(void *value)
{
    printf("destroyed %s\n", (char *)value);
}

__attribute__((constructor)) static void plugin_load(void)
{
    pthread_key_create(&plugin_key, gone);
}

static void *wait_for_it(void *unused)
{
    __atomic_store_n(&is_waiting, 1, __ATOMIC_RELEASE);
    while (pause())
        ;
    return unused;
}

/* Its value is shown to the thread that it starts, and destroyed when it ends itself: that one is gone by then. */
static void *own(void *value)
{
    pthread_t thread;

    pthread_setspecific(plugin_key, value);
    pthread_create(&thread, NULL, wait_for_it, NULL);
    while (!__atomic_exchange_n(&is_waiting, 0, __ATOMIC_ACQUIRE))
        usleep(1000);
    pthread_cancel(thread);
    pthread_join(thread, NULL);
    return NULL;
}

/* Threads of others, too. */
void plugin_cancel(pthread_t thread)
{
    pthread_cancel(thread);
}

int plugin_run(const char *name, long value)
{
    static char *values[] = {"one", "two", "three"};

    for (int i = 0; i < 3; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, own, values[i]);
        pthread_join(thread, NULL);
        printf("%s: owner of %s has ended\n", name, values[i]);
        fflush(stdout);
    }
    return value != 7;
}
