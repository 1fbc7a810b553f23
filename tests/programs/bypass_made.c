// Constructors of a module that is opened past others see the task's value, and what they set is the task's.
// libs: glib-2.0
// link: -ldl
// flags: -D_GNU_SOURCE
// usage: bypass_made PLUGIN [ADDS [OTHER]]; the constructor adds ADDS to the value, and opens OTHER, which does too
#include <dlfcn.h>
#include <glib.h>
#include <stdlib.h>

#include "carrier.h"

enum { ROUNDS = 50 };
static const char *plugin, *other;
static long adds;

static long number_in(void *handle, const char *name)
{
    return *(long *)dlsym(handle, name);
}

/* Every time anew: what is closed is unloaded. */
static void open_plugin(long value)
{
    long opened = other ? 2 : 1;
    void *handle = dlopen(plugin, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (!handle) {
        fprintf(stderr, "%s\n", dlerror());
        exit(2);
    }
    wrong_results += number_in(handle, "made_saw") != value;
    wrong_results += number_in(handle, "made_saw_after") != value + opened * adds;
    wrong_results += current() != value + opened * adds;
    if (other) {
        void *inner = dlopen(other, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
        wrong_results += number_in(inner, "made_saw") != value + adds;
        dlclose(inner);
        dlclose(inner);
    }
    dlclose(handle);
}

static void work(gpointer data, gpointer pool)
{
    open_plugin((long)data);
}

/* A task without a value: what an earlier one has left natively must not show. */
static void ask(gpointer data, gpointer pool)
{
    wrong_results += current() != 0;
    open_plugin(0);
}

static gboolean on_idle(gpointer data)
{
    open_plugin((long)data);
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
    char number[16];
    carrier_choose(NULL);
    plugin = argv[1];
    if (argc > 2)
        adds = atol(argv[2]);
    other = argc > 3 ? argv[3] : NULL;
    snprintf(number, sizeof(number), "%u", request_key);
    setenv("MADE_KEY", number, 1);
    if (adds)
        setenv("MADE_ADDS", argv[2], 1);
    if (other)
        setenv("MADE_OPENS", other, 1);

    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (long i = 1; i <= ROUNDS; i++) {
        set_current(i);
        g_thread_pool_push(pool, (gpointer)i, NULL);
    }
    set_current(0);
    g_thread_pool_free(pool, FALSE, TRUE);
    pool = g_thread_pool_new(ask, NULL, 1, TRUE, NULL);
    for (long i = 1; i <= 5; i++)
        g_thread_pool_push(pool, (gpointer)i, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("wrong in the pool", wrong_results, 0);

    /* In a thread that has a value of its own: it has it back. */
    for (long i = 1; i <= ROUNDS; i++) {
        set_current(100 + i);
        g_idle_add(on_idle, (gpointer)(100 + i));
        set_current(9);
        g_main_context_iteration(NULL, FALSE);
        wrong_results += current() != 9;
    }
    expect("wrong in the loop", wrong_results, 0);

    /* With nothing attached: what a constructor sets is handed over from then on. */
    open_plugin(9);
    long now = current();
    g_idle_add(on_idle, (gpointer)now);
    set_current(8);
    g_main_context_iteration(NULL, FALSE);
    expect("wrong after the thread's own", wrong_results, 0);
    return verdict();
}
