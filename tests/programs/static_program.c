// A static program: nothing can be preloaded into it, and nothing changes.
// link: -static
#include "carrier.h"

static void *body(void *seen)
{
    *(long *)seen = current();
    return NULL;
}

int main(void)
{
    pthread_t thread;
    long seen = -1;
    carrier_choose("key");
    set_current(5);
    pthread_create(&thread, NULL, body, &seen);
    pthread_join(thread, NULL);
    printf("thread sees %ld\n", seen);
    return 3;
}
