/* A callback that runs five times for one call, which its user names as if it ran once. */
#include <pthread.h>
#include <stdio.h>

pthread_key_t request_key;
static int ran, wrong;

__attribute__((noinline)) void five_times(void (*function)(void *), void *argument)
{
    for (int i = 0; i < 5; i++)
        function(argument);
    __asm__ volatile("" ::: "memory");
}

static void task(void *argument)
{
    ran++;
    wrong += argument != &ran;
}

int main(void)
{
    pthread_key_create(&request_key, NULL);
    for (long i = 1; i <= 1000; i++) {
        pthread_setspecific(request_key, (void *)i);
        five_times(task, &ran);
    }
    printf("ran %d wrong %d\n", ran, wrong);
    return wrong != 0;
}
