// A plugin with a slot and handoffs of its own, as a server's modules are.
// libs: glib-2.0
#include <glib.h>
#include <pthread.h>
#include <stdio.h>

static pthread_key_t plugin_key;
static __thread long plugin_word;
static long thread_saw_key, thread_saw_word, pool_saw_key, pool_saw_word;

__attribute__((constructor)) static void plugin_load(void)
{
    pthread_key_create(&plugin_key, NULL);
}

__attribute__((destructor)) static void plugin_unload(void)
{
    pthread_key_delete(plugin_key);
}

static void *body(void *argument)
{
    thread_saw_key = (long)pthread_getspecific(plugin_key);
    thread_saw_word = plugin_word;
    return NULL;
}

static void work(gpointer data, gpointer user_data)
{
    pool_saw_key = (long)pthread_getspecific(plugin_key);
    pool_saw_word = plugin_word;
}

/* Hands work over in two ways with `value` in both slots, prints what arrived. */
int plugin_run(const char *name, long value)
{
    pthread_t thread;
    pthread_setspecific(plugin_key, (void *)value);
    plugin_word = value + 1;
    pthread_create(&thread, NULL, body, NULL);
    pthread_join(thread, NULL);
    GThreadPool *pool = g_thread_pool_new(work, NULL, 1, TRUE, NULL);
    g_thread_pool_push(pool, pool, NULL);
    g_thread_pool_free(pool, FALSE, TRUE);
    printf("%s: thread sees %ld %ld, pool sees %ld %ld\n", name, thread_saw_key, thread_saw_word,
           pool_saw_key, pool_saw_word);
    pthread_setspecific(plugin_key, NULL);
    plugin_word = 0;
    return thread_saw_key != value || thread_saw_word != value + 1 || pool_saw_key != value ||
           pool_saw_word != value + 1;
}
