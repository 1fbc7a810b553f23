/* Keys while a module that looks past us is loaded. */
#ifndef BATON_INTERPOSE_DEEPBIND_H
#define BATON_INTERPOSE_DEEPBIND_H

#include <pthread.h>
#include <stdbool.h>

#include "slots/slots.h"

/* One carried key of the calling thread. Lives on the stack of the call of dlopen. */
struct deepbind_key {
    pthread_key_t key;
    unsigned key_index;
    void *own;   /* in the C library's store before */
    void *shown; /* there while the module is loaded */
};

struct deepbind_keys {
    unsigned count;
    struct deepbind_key keys[SLOTS_MAX];
};

/* Around a real dlopen with RTLD_DEEPBIND, in one thread; calls may nest. */
void deepbind_show_keys(struct deepbind_keys *keys);
void deepbind_take_back_keys(const struct deepbind_keys *keys);

#endif
