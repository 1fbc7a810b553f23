// A plugin with a reader and a writer of the host's key, handoffs of its own, as its host may load it past others.
#define _GNU_SOURCE // RTLD_DEFAULT, RTLD_NEXT, before glibc 2.36
#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <threads.h>

void *plugin_read(pthread_key_t key)
{
    return pthread_getspecific(key);
}

void *plugin_read_c11(pthread_key_t key)
{
    return tss_get(key);
}

int plugin_write(pthread_key_t key, void *value)
{
    return pthread_setspecific(key, value);
}

/* Through a pointer that the loader fills in a table. */
static void *(*const table[])(pthread_key_t) = {pthread_getspecific, tss_get};

void *plugin_read_by_table(pthread_key_t key)
{
    return table[0](key);
}

void *plugin_read_looked_up(pthread_key_t key)
{
    void *(*get)(pthread_key_t) =
        (void *(*)(pthread_key_t))dlsym(RTLD_DEFAULT, "pthread_getspecific");
    return get(key);
}

pthread_key_t plugin_key;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_key(void)
{
    pthread_key_create(&plugin_key, NULL);
}

static void *read_own(void *unused)
{
    return pthread_getspecific(plugin_key);
}

/* A thread of the plugin's, with a key of the plugin's: what does it see? */
long plugin_thread(long value)
{
    pthread_t thread;
    void *seen = NULL;
    pthread_once(&once, make_key);
    pthread_setspecific(plugin_key, (void *)value);
    if (pthread_create(&thread, NULL, read_own, NULL) == 0)
        pthread_join(thread, &seen);
    pthread_setspecific(plugin_key, NULL);
    return (long)seen;
}

__attribute__((destructor)) static void unload(void)
{
    if (plugin_key)
        pthread_key_delete(plugin_key);
}
