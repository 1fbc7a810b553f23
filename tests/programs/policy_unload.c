// The library whose functions clone and free a value is unloaded while a task waits: nothing crashes, nothing leaks.
// libs: glib-2.0
// link: -ldl
// usage: policy_unload PLUGIN [referenced]
#include "carrier.h"
#include <dlfcn.h>
#include <glib.h>

static struct gate gate = GATE_CLOSED;
static long live, seen = -1;
static long (*codec_read)(void);

static void work(gpointer data, gpointer user_data)
{
    if (data == &gate)
        gate_wait(&gate);
    else
        seen = codec_read ? codec_read() : 0;
}

int main(int argc, char **argv)
{
    void *plugin = dlopen(argc > 1 ? argv[1] : "", RTLD_NOW | RTLD_LOCAL);
    long value = 7;
    if (!plugin)
        return 2;
    void (*codec_start)(long *) = (void (*)(long *))dlsym(plugin, "codec_start");
    void (*codec_set)(long *) = (void (*)(long *))dlsym(plugin, "codec_set");
    codec_start(&live);
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, &gate, NULL);
    gate_await(&gate, 1);
    codec_set(&value);
    g_thread_pool_push(pool, &seen, NULL);
    codec_set(NULL);
    if (argc < 3) /* one that is referenced must not change */
        value = 0;
    dlclose(plugin);
    plugin = dlopen(argv[1], RTLD_NOW | RTLD_NOLOAD);
    printf("still loaded %d\n", plugin != NULL);
    if (plugin)
        codec_read = (long (*)(void))dlsym(plugin, "codec_read");
    gate_open(&gate);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("task saw", seen, plugin ? 7 : 0);
    expect("live", live, 0);
    return verdict();
}
