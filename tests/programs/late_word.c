// A variable of a plugin that comes inside a task: what the task sets stays in its thread, and a task that was handed
// over before sees what the variable begins with.
// libs: glib-2.0
// link: -ldl
// usage: late_word PLUGIN
#include "carrier.h"
#include <dlfcn.h>
#include <glib.h>

static const char *path;
static long *(*word_at)(void);
static long seen, own;
static struct gate ended = GATE_CLOSED;

static void look(gpointer unused)
{
    own = *word_at();
    gate_open(&ended);
}

static GPrivate at_end = G_PRIVATE_INIT(look);

static void work(gpointer data, gpointer user_data)
{
    if (word_at) {
        seen = *word_at();
        return;
    }
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    word_at = plugin ? (long *(*)(void))dlsym(plugin, "late_word_at") : NULL;
    if (!word_at)
        abort();
    *word_at() = 5;
    g_private_set(&at_end, &own);
}

int main(int argc, char **argv)
{
    path = argv[1];
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (int i = 0; i < 2; i++)
        g_thread_pool_push(pool, pool, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    gate_wait(&ended);
    expect("a task of before sees", seen, 42);
    expect("the thread had", own, 5);
    return verdict();
}
