/* Needs a library whose destructor runs last of all. */
#include <pthread.h>
#include <stdio.h>

pthread_key_t request_key;
void late_library_used(void);

static void *body(void *unused)
{
    return pthread_getspecific(request_key);
}

int main(void)
{
    pthread_t thread;
    void *seen;
    late_library_used();
    pthread_key_create(&request_key, NULL);
    pthread_setspecific(request_key, (void *)5);
    pthread_create(&thread, NULL, body, NULL);
    pthread_join(thread, &seen);
    printf("thread sees %ld\n", (long)seen);
    fflush(stdout);
    return 0;
}
