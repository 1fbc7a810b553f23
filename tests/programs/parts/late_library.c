/* A library that hands work over when everything before it has ended. */
#include <pthread.h>
#include <stdio.h>
#include <unistd.h>

extern pthread_key_t request_key;

static void *body(void *seen)
{
    *(void **)seen = pthread_getspecific(request_key);
    return NULL;
}

void late_library_used(void)
{
}

__attribute__((destructor)) static void at_the_end(void)
{
    pthread_t thread;
    void *seen = &thread;
    char text[64];
    pthread_setspecific(request_key, (void *)6);
    pthread_create(&thread, NULL, body, &seen);
    pthread_join(thread, NULL);
    int length = snprintf(text, sizeof(text), "late thread sees %ld, its maker %ld\n", (long)seen,
                          (long)pthread_getspecific(request_key));
    if (write(1, text, (size_t)length) != length)
        _exit(3);
}
