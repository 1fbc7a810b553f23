/* Hooks one function and finds the real one at its first call: what any preload costs at start-up. */
#include <dlfcn.h>
#include <pthread.h>

typedef int create(pthread_t *, const pthread_attr_t *, void *(*)(void *), void *);

int pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*start)(void *),
                   void *data)
{
    static create *real;

    if (!real)
        real = (create *)dlsym(RTLD_NEXT, "pthread_create");
    return real(thread, attributes, start, data);
}
