/*
 * Functions for keys that go straight to libc's, as a tool that counts calls may have them; and one that
 * reads with them. In the program they are everybody's, in a library linked with -Bsymbolic its own.
 */
#include "bypass_libc.h"

void *own_read(pthread_key_t key);

void *pthread_getspecific(pthread_key_t key)
{
    static void *(*real)(pthread_key_t);
    if (!real)
        real = (void *(*)(pthread_key_t))in_libc("pthread_getspecific");
    return real(key);
}

int pthread_setspecific(pthread_key_t key, const void *value)
{
    static int (*real)(pthread_key_t, const void *);
    if (!real)
        real = (int (*)(pthread_key_t, const void *))in_libc("pthread_setspecific");
    return real(key, value);
}

void *own_read(pthread_key_t key)
{
    return pthread_getspecific(key);
}
