// A variable of a plugin that comes inside a task: a task that was handed over before sees what it begins with.
// libs: glib-2.0
// link: -ldl
// usage: late_word PLUGIN
#include "carrier.h"
#include <dlfcn.h>
#include <glib.h>

static const char *path;
static long *(*word_at)(void);
static long seen;
static GMutex pushed; /* the main thread's until all tasks are handed over */

static void work(gpointer data, gpointer user_data)
{
    g_mutex_lock(&pushed);
    g_mutex_unlock(&pushed);
    if (word_at) {
        seen = *word_at();
        return;
    }
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    word_at = plugin ? (long *(*)(void))dlsym(plugin, "late_word_at") : NULL;
    if (!word_at)
        abort();
    *word_at() = 5;
}

int main(int argc, char **argv)
{
    path = argv[1];
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    g_mutex_lock(&pushed);
    for (int i = 0; i < 2; i++)
        g_thread_pool_push(pool, pool, NULL);
    g_mutex_unlock(&pushed);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("a task of before sees", seen, 42);
    return verdict();
}
