// A context behind functions whose getter makes a copy: freed by its own function, each copy once.
// libs: glib-2.0
// usage: tag_functions [TASKS]
// tag_get gives a fresh copy or NULL, so does tag_fill, tag_set copies what it is given, tag_take keeps what it is
// given, tag_free frees a copy.
#include "carrier.h"
#include <glib.h>

static __thread char *tag;
static long live, right, tasks;

__attribute__((noinline, used)) char *tag_get(void)
{
    if (!tag)
        return NULL;
    __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
    return strdup(tag);
}

__attribute__((noinline, used)) int tag_fill(char **copy)
{
    *copy = tag_get();
    return 0;
}

__attribute__((noinline, used)) void tag_free(char *copy)
{
    if (copy)
        __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
    free(copy);
}

__attribute__((noinline, used)) void tag_set(const char *text)
{
    char *old = tag;
    tag = text ? strdup(text) : NULL;
    free(old);
}

/* Keeps the copy itself: the caller must not free it. */
__attribute__((noinline, used)) void tag_take(char *copy)
{
    if (copy)
        __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
    free(tag);
    tag = copy;
}

static void work(gpointer data, gpointer user_data)
{
    char wanted[32];
    snprintf(wanted, sizeof(wanted), "request %ld", (long)data);
    right += (long)data % 5 ? tag && !strcmp(tag, wanted) : !tag;
    tag_set("left by a task");
}

int main(int argc, char **argv)
{
    tasks = argc > 1 ? atol(argv[1]) : 1000;
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (long i = 1; i <= tasks; i++) {
        char text[32];
        snprintf(text, sizeof(text), "request %ld", i);
        tag_set(i % 5 ? text : NULL);
        g_thread_pool_push(pool, (gpointer)i, NULL);
    }
    tag_set(NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("right", right, tasks);
    expect("more than a few copies live", live > 4 || live < 0, 0);
    return verdict();
}
