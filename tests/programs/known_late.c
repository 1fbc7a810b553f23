// Opens libmpfr while it runs, by dlopen and dlsym; its default precision is the request's in each task.
//   known_late [lazy]: the library is looked up in only after a thread has run
// libs: glib-2.0
// link: -ldl
#include <dlfcn.h>
#include <glib.h>
#include <stdio.h>
#include <string.h>

static long (*get)(void);
static void (*set)(long);
static long right;

static void task(gpointer data, gpointer user_data)
{
    right += get() == 100 + (long)data;
    set(24);
}

static gpointer nothing(gpointer data)
{
    return data;
}

int main(int argc, char **argv)
{
    void *library = dlopen("libmpfr.so.6", RTLD_NOW | (argc > 2 ? RTLD_GLOBAL : 0));
    GThreadPool *pool;

    if (!library)
        return 77;
    if (argc > 1)
        g_thread_join(g_thread_new("one", nothing, NULL));
    get = (long (*)(void))dlsym(library, "mpfr_get_default_prec");
    set = (void (*)(long))dlsym(library, "mpfr_set_default_prec");
    pool = g_thread_pool_new(task, NULL, 1, TRUE, NULL);
    for (long i = 1; i <= 5; i++) {
        set(100 + i);
        g_thread_pool_push(pool, (gpointer)i, NULL);
    }
    g_thread_pool_free(pool, FALSE, TRUE);
    printf("right %ld of 5\n", right);
    return right != 5;
}
