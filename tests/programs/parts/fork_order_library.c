/* A library with a lock, around which it forks: registered in its constructor, as libraries do. */
#include <pthread.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

void library_start_and_join(void *(*run)(void *), void *argument);
void library_start_and_join(void *(*run)(void *), void *argument)
{
    pthread_t thread;
    int error;

    pthread_mutex_lock(&lock);
    error = pthread_create(&thread, NULL, run, argument);
    pthread_mutex_unlock(&lock);
    if (!error)
        pthread_join(thread, NULL);
}

static void take(void)
{
    pthread_mutex_lock(&lock);
}

static void drop(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor(101))) static void begin(void)
{
    pthread_atfork(take, drop, drop);
}
