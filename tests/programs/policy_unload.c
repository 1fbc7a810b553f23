// A library with a context and the functions that copy and end its values is unloaded while a task waits.
// libs: glib-2.0
// link: -ldl
// usage: policy_unload {PLUGIN KIND POLICY}...: key|owned|tls|fn share|copy|string|clone|ref|weak
#include "carrier.h"
#include <dlfcn.h>
#include <glib.h>

static struct gate gate = GATE_CLOSED;
static long live, seen = -1;
static int is_string;
static void *(*codec_read)(void);

static void work(gpointer data, gpointer user_data)
{
    void *value;
    if (data == &gate) {
        gate_wait(&gate);
        return;
    }
    value = codec_read ? codec_read() : NULL;
    seen = !value ? 0 : is_string ? atol(value) : *(long *)value;
}

static void unload(const char *file, const char *kind, const char *policy)
{
    void *plugin = dlopen(file, RTLD_NOW | RTLD_LOCAL), *value;
    if (!plugin)
        exit(2);
    int ends_early = strcmp(policy, "share") != 0 && strcmp(policy, "ref") != 0;
    void (*codec_start)(const char *, long *) = (void (*)(const char *, long *))dlsym(plugin, "codec_start");
    void (*codec_set)(void *) = (void (*)(void *))dlsym(plugin, "codec_set");
    gate = (struct gate)GATE_CLOSED;
    live = 0;
    seen = -1;
    codec_read = NULL;
    is_string = !strcmp(policy, "string");
    if (is_string)
        value = strdup("7 of them");
    else
        *(long *)(value = malloc(sizeof(long))) = 7;
    codec_start(kind, &live);
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, &gate, NULL);
    gate_await(&gate, 1);
    codec_set(value);
    g_thread_pool_push(pool, &seen, NULL);
    codec_set(NULL);
    if (ends_early)
        free(value);
    dlclose(plugin);
    plugin = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
    printf("still loaded %d\n", plugin != NULL);
    if (plugin)
        codec_read = (void *(*)(void))dlsym(plugin, "codec_read");
    gate_open(&gate);
    g_thread_pool_free(pool, FALSE, TRUE);
    expect("task saw", seen, plugin && strcmp(policy, "weak") != 0 ? 7 : 0);
    expect("live", live, 0);
    if (!ends_early)
        free(value);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    for (; argc > 3; argc -= 3, argv += 3)
        unload(argv[1], argv[2], argv[3]);
    return verdict();
}
