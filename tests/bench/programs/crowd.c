/*
 * A program with 110 libraries and 165,000 symbols: it creates its keys, starts a thread and ends.
 * What is configured for it has been found when it ends.
 */
#include "slots.h"

#include <pthread.h>

static void *do_nothing(void *data)
{
    return data;
}

int main(void)
{
    pthread_t thread;

    slots_create(false);
    slots_set(SLOT_KEY, 0, 1);
    slots_set(SLOT_TLS, 0, 1);
    return pthread_create(&thread, NULL, do_nothing, NULL) || pthread_join(thread, NULL);
}
