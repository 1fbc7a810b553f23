/* A plugin that its host opens past others: a reader, a thread of its own. */
#include <pthread.h>

static void *read_key(void *key)
{
    return pthread_getspecific(*(pthread_key_t *)key);
}

void *bare_read(pthread_key_t key)
{
    return pthread_getspecific(key);
}

void *bare_thread(pthread_key_t key)
{
    pthread_t thread;
    void *seen = NULL;
    if (pthread_create(&thread, NULL, read_key, &key) == 0)
        pthread_join(thread, &seen);
    return seen;
}
