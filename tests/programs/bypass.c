// Readers of a key that go past preloaded libraries see in a task what the task's own code sees.
// libs: glib-2.0
// link: -ldl
// flags: -D_GNU_SOURCE
// usage: bypass [rounds] [PLUGIN...]
#include <dlfcn.h>
#include <glib.h>
#include <gnu/lib-names.h>
#include <stdint.h>

#include "carrier.h"

typedef void *reader(pthread_key_t);
typedef int writer(pthread_key_t, const void *);

enum { READERS_MAX = 32 };
static struct {
    const char *name;
    reader *read;
    int wrong, runs;
} readers[READERS_MAX];
static int readers_count;
static writer *write_past;

static void add(const char *name, void *read)
{
    if (!read || readers_count == READERS_MAX) {
        printf("no %s\n", name);
        exit(2);
    }
    readers[readers_count].name = name;
    readers[readers_count++].read = (reader *)(uintptr_t)read;
}

static void work(gpointer data, gpointer pool)
{
    for (int i = 0; i < readers_count; i++) {
        readers[i].runs++;
        readers[i].wrong += readers[i].read(request_key) != data;
    }
    /* What is written past is read here, and not by the next task. */
    write_past(request_key, (void *)-1L);
    if (pthread_getspecific(request_key) != (void *)-1L)
        wrong_results++;
}

static void run_rounds(int rounds)
{
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    for (long i = 1; i <= rounds; i++) {
        pthread_setspecific(request_key, (void *)i);
        g_thread_pool_push(pool, (gpointer)i, NULL);
    }
    pthread_setspecific(request_key, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
}

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? atoi(argv[1]) : 200;
    carrier_choose(NULL);
    void *libc = dlopen(LIBC_SO, RTLD_LAZY | RTLD_NOLOAD);
    const char *version = "GLIBC_2.34";
    if (!dlsym(libc, "tss_get")) { /* before that they are libpthread's */
        libc = dlopen(LIBPTHREAD_SO, RTLD_LAZY | RTLD_NOLOAD);
        version = "GLIBC_2.2.5";
    }
    add("direct", (void *)(uintptr_t)pthread_getspecific);
    add("dlsym of libc", dlsym(libc, "pthread_getspecific"));
    add("dlsym of libc, C11", dlsym(libc, "tss_get"));
    add("dlvsym of libc", dlvsym(libc, "pthread_getspecific", version));
    add("dlsym of everybody", dlsym(RTLD_DEFAULT, "pthread_getspecific"));
    write_past = (writer *)(uintptr_t)dlsym(libc, "pthread_setspecific");
    if (dlsym(libc, "no_such_function") || !dlerror() || dlerror() || !dlsym(libc, "getpid") ||
        dlerror())
        expect("what dlerror says", 0, 1);

    for (int turn = 0; turn < 2; turn++) { /* unloaded and loaded again */
        int before = readers_count;
        for (int i = 2; i < argc; i++) {
            int lazy = strstr(argv[i], "lazy") != NULL;
            void *plugin =
                dlopen(argv[i], (lazy ? RTLD_LAZY : RTLD_NOW) | RTLD_LOCAL | RTLD_DEEPBIND);
            if (!plugin) {
                fprintf(stderr, "%s\n", dlerror());
                return 2;
            }
            add("plugin", dlsym(plugin, "plugin_read"));
            add("plugin, C11", dlsym(plugin, "plugin_read_c11"));
            add("plugin, table", dlsym(plugin, "plugin_read_by_table"));
            add("plugin, dlsym", dlsym(plugin, "plugin_read_looked_up"));
            write_past = (writer *)(uintptr_t)dlsym(plugin, "plugin_write");
            long (*thread)(long) = (long (*)(long))(uintptr_t)dlsym(plugin, "plugin_thread");
            expect("thread of the plugin", thread(7 + i), 7 + i);
        }
        run_rounds(rounds);
        for (int i = 0; i < readers_count; i++) {
            if (readers[i].wrong)
                printf("%s: %d of %d WRONG\n", readers[i].name, readers[i].wrong, readers[i].runs);
            wrong_results += readers[i].wrong;
            readers[i].wrong = 0;
        }
        readers_count = before;
        for (int i = 2; i < argc; i++) {
            void *plugin = dlopen(argv[i], RTLD_LAZY | RTLD_NOLOAD);
            dlclose(plugin);
            dlclose(plugin);
        }
        if (turn == 0 && !write_past)
            return 2;
        write_past = (writer *)(uintptr_t)dlsym(libc, "pthread_setspecific");
    }
    dlclose(libc);
    return verdict();
}
