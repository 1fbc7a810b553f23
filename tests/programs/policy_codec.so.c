// A plugin whose context is cloned and freed by its own functions; the program unloads it while tasks wait.
#include <pthread.h>
#include <stdlib.h>

pthread_key_t codec_key;
long *codec_live;

__attribute__((visibility("default"))) long *codec_clone(long *value)
{
    long *copy = malloc(sizeof(*copy));
    *copy = *value;
    ++*codec_live;
    return copy;
}

__attribute__((visibility("default"))) void codec_free(long *value)
{
    --*codec_live;
    free(value);
}

/* Counts instead: the value is the program's. */
__attribute__((visibility("default"))) void codec_ref(long *value)
{
    __atomic_add_fetch(codec_live, 1, __ATOMIC_RELAXED);
}

__attribute__((visibility("default"))) void codec_unref(long *value)
{
    __atomic_sub_fetch(codec_live, 1, __ATOMIC_RELAXED);
}

void codec_start(long *live)
{
    codec_live = live;
    pthread_key_create(&codec_key, NULL);
}

void codec_set(long *value)
{
    pthread_setspecific(codec_key, value);
}

long codec_read(void)
{
    long *value = pthread_getspecific(codec_key);
    return value ? *value : 0;
}
