// What a host has little of: threads, keys, stack, descriptors. A handoff works as it does with plenty.
// libs: glib-2.0
// usage: hard_limits threads|keys|stack|files [CARRIER [COUNT]]
#include "carrier.h"
#include <errno.h>
#include <fcntl.h>
#include <glib.h>
#include <limits.h>
#include <sys/resource.h>

static long right;
static struct gate all_there = GATE_CLOSED;

static void look(long wanted)
{
    __atomic_add_fetch(&right, current() == wanted, __ATOMIC_RELAXED);
}

static void *stays(void *number)
{
    look((long)number);
    gate_wait(&all_there);
    look((long)number);
    return NULL;
}

/* All alive at once; as many as the system lets us have. */
static void threads(long count)
{
    pthread_t *made = calloc((size_t)count, sizeof(*made));
    pthread_attr_t attributes;
    long there = 0;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN + 65536);
    for (; there < count; there++) {
        set_current(100 + there);
        if (pthread_create(&made[there], &attributes, stays, (void *)(100 + there)) != 0)
            break;
    }
    set_current(0);
    gate_await(&all_there, (int)there);
    gate_open(&all_there);
    for (long i = 0; i < there; i++)
        pthread_join(made[i], NULL);
    printf("threads %ld\n", there);
    expect("threads, at least", there < 100, 0);
    expect("wrong", 2 * there - right, 0);
    free(made);
}

static void task(gpointer data, gpointer user_data)
{
    look((long)data);
}

static void pool_of_tasks(void)
{
    GThreadPool *pool = g_thread_pool_new(task, NULL, 2, TRUE, NULL);
    for (long i = 1; i <= 100; i++) {
        set_current(i);
        g_thread_pool_push(pool, (gpointer)i, NULL);
    }
    set_current(0);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("wrong", 100 - right, 0);
}

/* The program gets every key that there is, and its tasks see what they are to see. */
static void keys(void)
{
    static pthread_key_t all[PTHREAD_KEYS_MAX + 1];
    int count = 0;
    while (count <= PTHREAD_KEYS_MAX && pthread_key_create(&all[count], NULL) == 0)
        count++;
    printf("keys %d\n", count);
    expect("one more key", pthread_key_create(&all[count], NULL), EAGAIN);
    pthread_setspecific(all[count - 1], &count);
    expect("the last keeps its value", pthread_getspecific(all[count - 1]) == &count, 1);
    pthread_setspecific(all[count - 1], NULL);
    for (int i = 0; i < count; i++)
        pthread_key_delete(all[i]);
    int again = 0;
    for (int i = 0; i < count; i++)
        again += pthread_key_create(&all[i], NULL) == 0;
    expect("made again", again, count);
    pthread_t thread;
    set_current(7);
    pthread_create(&thread, NULL, stays, (void *)7);
    gate_open(&all_there);
    pthread_join(thread, NULL);
    set_current(0);
    expect("wrong", 2 - right, 0);
}

/* The deepest that its thread goes. */
static __attribute__((noinline)) long deep(long bytes)
{
    volatile char page[512];
    page[0] = (char)bytes;
    return bytes <= 0 ? page[0] : deep(bytes - (long)sizeof(page)) + page[0];
}

static void *small(void *number)
{
    look((long)number);
    deep(4096);
    look((long)number);
    return NULL;
}

/* Threads with the least stack there may be. */
static void stack(void)
{
    pthread_attr_t attributes;
    int made = 0;
    pthread_attr_init(&attributes);
    expect("least stack", pthread_attr_setstacksize(&attributes, PTHREAD_STACK_MIN), 0);
    for (long i = 1; i <= 50; i++) {
        pthread_t thread;
        set_current(i);
        made += pthread_create(&thread, &attributes, small, (void *)i) == 0;
        pthread_join(thread, NULL);
    }
    expect("made", made, 50);
    set_current(0);
    expect("wrong", 100 - right, 0);
}

/* Not one more descriptor, from before the first handoff on. */
static void files(void)
{
    struct rlimit before, none;
    getrlimit(RLIMIT_NOFILE, &before);
    none = (struct rlimit){0, before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
    expect("no descriptor", open("/dev/null", O_RDONLY) < 0 && errno == EMFILE, 1);
    pool_of_tasks();
    setrlimit(RLIMIT_NOFILE, &before);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "threads";
    carrier_choose(argc > 2 ? argv[2] : "key");
    if (!strcmp(what, "threads"))
        threads(argc > 3 ? atol(argv[3]) : 1000);
    else if (!strcmp(what, "keys"))
        keys();
    else if (!strcmp(what, "stack"))
        stack();
    else if (!strcmp(what, "files"))
        files();
    else
        return 2;
    return verdict();
}
