/* Submits 200000 objects before it runs the first. */
#include <pthread.h>

#define HERE __attribute__((noinline, noclone))

enum { OBJECTS = 200000 };

pthread_key_t request_key;
static char objects[OBJECTS][8];

HERE void many_submit(void *object)
{
    __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::"r"(object) : "memory");
}

HERE void many_run(void *object)
{
    __asm__ volatile("nop; nop; nop; nop; nop; nop; nop; nop" ::"r"(object) : "memory");
}

int main(void)
{
    pthread_key_create(&request_key, NULL);
    pthread_setspecific(request_key, (void *)5);
    for (int i = 0; i < OBJECTS; i++)
        many_submit(objects[i]);
    for (int i = 0; i < OBJECTS; i++)
        many_run(objects[i]);
    return 0;
}
