/* A key, and readers of it that may go past others: 200 threads, each with its value. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

void *own_read(pthread_key_t key);
pthread_key_t request_key, destroyed_key;
static long own_wrong, wrong, destroyed_wrong;

static void destroy(void *value)
{
    (void)value;
}

static void *task(void *data)
{
    own_wrong += own_read(request_key) != data;
    wrong += pthread_getspecific(request_key) != data;
    destroyed_wrong += pthread_getspecific(destroyed_key) != data;
    return NULL;
}

int main(void)
{
    pthread_key_create(&request_key, NULL);
    pthread_key_create(&destroyed_key, destroy);
    for (long i = 1; i <= 200; i++) {
        pthread_t thread;
        pthread_setspecific(request_key, (void *)i);
        pthread_setspecific(destroyed_key, (void *)i);
        if (pthread_create(&thread, NULL, task, (void *)i))
            abort();
        pthread_join(thread, NULL);
    }
    pthread_setspecific(destroyed_key, NULL);
    printf("wrong: %ld by its own, %ld, %ld with a destructor\n", own_wrong, wrong,
           destroyed_wrong);
    return own_wrong || wrong;
}
