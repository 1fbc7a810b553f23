/* Keys while a module that looks past us is loaded. */
#ifndef BATON_HANDOFFS_DEEP_H
#define BATON_HANDOFFS_DEEP_H

#include <pthread.h>
#include <stdbool.h>

#include "slots/slots.h"

/* One carried key of the calling thread. Lives on the stack of the call of dlopen. */
struct deep_key {
    pthread_key_t key;
    unsigned column;
    void *own;   /* in the C library's store before */
    void *shown; /* there while the module is loaded */
};

struct deep_keys {
    unsigned count;
    struct deep_key keys[SLOTS_MAX];
};

/* Around a real dlopen with RTLD_DEEPBIND, in one thread; calls may nest. */
void deep_show_keys(struct deep_keys *keys);
void deep_take_back_keys(const struct deep_keys *keys);

#endif
