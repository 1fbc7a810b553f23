/* A library that goes on to the next function of a name: a reader, and a function between a program and libc. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>

int calls;

void *next_read(pthread_key_t key)
{
    void *(*get)(pthread_key_t) = (void *(*)(pthread_key_t))dlsym(RTLD_NEXT, "pthread_getspecific");
    return get(key);
}

#ifdef BETWEEN
int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*body)(void *),
                   void *argument)
{
    int (*create)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *) =
        (int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *))dlsym(
            RTLD_NEXT, "pthread_create");
    calls++;
    return create(thread, attributes, body, argument);
}
#endif
