// Values of a real collector (libgc) in a key: each request's value is handed over with its task, the submitter drops it, the
// collector runs and its memory is used again, and only then the tasks run.
// usage: collected dropped|kept     kept: the program has a root of each; it only leaves the key
// libs: bdw-gc glib-2.0
// link: -rdynamic
#define GC_THREADS
#include <gc.h>
#include <glib.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { REQUESTS = 64, SIZE = 32, ROOTS = 1024, AGAIN = 100000 };

pthread_key_t request_key;
static char *volatile kept[REQUESTS]; /* static data: the collector looks here */
static char *rooted[ROOTS];
static GMutex rooted_mutex, gate;
static int own, none, other, collected, cloned, freed;

/* ---- for clone=: a copy that the collector neither takes nor passes over; free= ends it ---- */

void *request_clone(const void *value)
{
    char *copy = GC_MALLOC_UNCOLLECTABLE(SIZE);

    memcpy(copy, value, SIZE);
    g_atomic_int_inc(&cloned);
    return copy;
}

void request_free(void *value)
{
    GC_FREE(value);
    g_atomic_int_inc(&freed);
}

/* ---- for ref= and unref=: the value itself, with a root a reference ---- */

static void replace(char *from, char *to)
{
    g_mutex_lock(&rooted_mutex);
    for (int i = 0; i < ROOTS; i++) {
        if (rooted[i] == from) {
            rooted[i] = to;
            break;
        }
    }
    g_mutex_unlock(&rooted_mutex);
}

void *request_ref(void *value)
{
    replace(NULL, value);
    g_atomic_int_inc(&cloned);
    return value;
}

void request_unref(void *value)
{
    replace(value, NULL);
    g_atomic_int_inc(&freed);
}

/* ---- the program ---- */

static void is_collected(void *value, void *unused)
{
    collected++;
}

static void run(void *number, void *unused)
{
    const char *value;
    char wanted[SIZE];

    if (GPOINTER_TO_INT(number) > REQUESTS) { /* the first: the others wait */
        struct GC_stack_base base;

        GC_get_stack_base(&base);
        GC_register_my_thread(&base);
        g_mutex_lock(&gate);
        g_mutex_unlock(&gate);
        return;
    }
    value = pthread_getspecific(request_key);
    snprintf(wanted, sizeof wanted, "request %d", GPOINTER_TO_INT(number));
    *(!value ? &none : strcmp(value, wanted) == 0 ? &own : &other) += 1;
}

/* A frame of its own: no value stays in a register or above. */
static __attribute__((noinline)) void submit(GThreadPool *pool, int number, int is_kept)
{
    char *value = GC_MALLOC_ATOMIC(SIZE);

    snprintf(value, SIZE, "request %d", number);
    GC_REGISTER_FINALIZER_NO_ORDER(value, is_collected, NULL, NULL, NULL);
    if (is_kept)
        kept[number - 1] = value;
    pthread_setspecific(request_key, value);
    g_thread_pool_push(pool, GINT_TO_POINTER(number), NULL);
    if (!is_kept)
        pthread_setspecific(request_key, NULL);
}

static __attribute__((noinline)) void wipe(void)
{
    volatile char below[8192];

    memset((void *)below, 0, sizeof below);
}

int main(int argc, char **argv)
{
    int is_kept = argc == 2 && strcmp(argv[1], "kept") == 0;
    GThreadPool *pool;

    GC_INIT();
    GC_allow_register_threads();
    pthread_key_create(&request_key, NULL);
    g_mutex_lock(&gate);
    pool = g_thread_pool_new(run, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, GINT_TO_POINTER(REQUESTS + 1), NULL);
    for (int i = 1; i <= REQUESTS; i++)
        submit(pool, i, is_kept);
    wipe();
    for (int i = 0; i < 4; i++) {
        GC_gcollect();
        GC_invoke_finalizers();
    }
    for (int i = 0; i < AGAIN; i++)
        strcpy(GC_MALLOC_ATOMIC(SIZE), "somebody else");
    g_mutex_unlock(&gate);
    g_thread_pool_free(pool, FALSE, TRUE);
    pthread_setspecific(request_key, NULL);
    printf("own %d none %d other %d\n", own, none, other);
    printf("%s collected\n", collected > REQUESTS / 2 ? "most" : collected ? "some" : "none");
    printf("%s\n", cloned == freed ? "all ended" : "some not ended");
    return other != 0 || own + none != REQUESTS;
}
