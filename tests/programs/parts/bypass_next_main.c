#include <pthread.h>
#include <stdio.h>

extern int calls;
void *next_read(pthread_key_t key);
pthread_key_t request_key;

static void *body(void *unused)
{
    return next_read(request_key);
}

int main(void)
{
    long right = 0;
    pthread_key_create(&request_key, NULL);
    for (long i = 1; i <= 200; i++) {
        pthread_t thread;
        void *seen = NULL;
        pthread_setspecific(request_key, (void *)i);
        pthread_create(&thread, NULL, body, NULL);
        pthread_join(thread, &seen);
        right += seen == (void *)i;
    }
    printf("right %ld, calls %d\n", right, calls);
    return right != 200;
}
