// A plugin whose key has a destructor; it deletes the key when it is unloaded.
#include <pthread.h>

pthread_key_t session_key;
static int destroyed;

static void session_destroy(void *session)
{
    destroyed++;
}

__attribute__((constructor)) static void plugin_load(void)
{
    pthread_key_create(&session_key, session_destroy);
}

__attribute__((destructor)) static void plugin_unload(void)
{
    pthread_key_delete(session_key);
}

void *session_get(void)
{
    return pthread_getspecific(session_key);
}

void session_set(void *session)
{
    pthread_setspecific(session_key, session);
}

int sessions_destroyed(void)
{
    return destroyed;
}
