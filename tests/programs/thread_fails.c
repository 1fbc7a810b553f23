// pthread_create that fails says why, exactly as the C library does, and leaves nothing behind.
// usage: thread_fails [CARRIER]
#include "carrier.h"
#include <threads.h>

static void *body(void *argument)
{
    *(long *)argument = current();
    return NULL;
}

int main(int argc, char **argv)
{
    pthread_attr_t huge;
    pthread_t thread;
    long seen = 0;
    int failures = 0, last_errno = 0;
    carrier_choose(argc > 1 ? argv[1] : "key");
    pthread_attr_init(&huge);
    pthread_attr_setstacksize(&huge, 1ul << 46);
    set_current(5);
    for (int i = 0; i < 1000; i++) {
        errno = 77;
        int result = pthread_create(&thread, &huge, body, &seen);
        failures += result == EAGAIN;
        last_errno = errno;
    }
    printf("%d times EAGAIN, errno %d\n", failures, last_errno);
    pthread_create(&thread, NULL, body, &seen);
    pthread_join(thread, NULL);
    expect("then a thread sees", seen, 5);
    set_current(0);
    return verdict();
}
