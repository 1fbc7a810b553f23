// A plugin with a context of its own and the functions that copy and end its values; the program unloads it while tasks wait.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

pthread_key_t codec_key, codec_owned;
__thread void *codec_tls;
static __thread void *behind;
static const char *codec_kind;
long *codec_live;

__attribute__((visibility("default"))) long *codec_clone(long *value)
{
    long *copy = malloc(sizeof(*copy));
    *copy = *value;
    __atomic_add_fetch(codec_live, 1, __ATOMIC_RELAXED);
    return copy;
}

__attribute__((visibility("default"))) void codec_free(long *value)
{
    __atomic_sub_fetch(codec_live, 1, __ATOMIC_RELAXED);
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

__attribute__((visibility("default"), noinline)) void *codec_get(void)
{
    return behind;
}

__attribute__((visibility("default"), noinline)) void codec_put(void *value)
{
    behind = value;
}

void codec_start(const char *kind, long *live)
{
    codec_kind = kind;
    codec_live = live;
    pthread_key_create(&codec_key, NULL);
    pthread_key_create(&codec_owned, (void (*)(void *))codec_free);
}

void codec_set(void *value)
{
    if (!strcmp(codec_kind, "key"))
        pthread_setspecific(codec_key, value);
    else if (!strcmp(codec_kind, "owned"))
        pthread_setspecific(codec_owned, value);
    else if (!strcmp(codec_kind, "tls"))
        codec_tls = value;
    else
        codec_put(value);
}

void *codec_read(void)
{
    if (!strcmp(codec_kind, "key"))
        return pthread_getspecific(codec_key);
    if (!strcmp(codec_kind, "owned"))
        return pthread_getspecific(codec_owned);
    return !strcmp(codec_kind, "tls") ? codec_tls : codec_get();
}
