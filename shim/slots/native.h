/* key:NAME,native: between key.c, which finds keys, and native.c, which moves their values. */
#ifndef BATON_SLOTS_NATIVE_H
#define BATON_SLOTS_NATIVE_H

#include "slots/kind.h"
#include "slots/slots.h"

/* A key outside of the overlay is in the C library's own store. */
static inline bool slot_is_native(const struct slot *slot)
{
    return slot->kind->is_key && slot->key_index == SLOT_NO_KEY;
}

/* The key of a waiting slot is found. */
void native_bind(struct slot *slot, pthread_key_t key, bool has_destructor, const char *module);
/* Lets go of every slot for which it answers a reason. */
void native_unbind(const char *(*is_gone)(const struct slot *slot, const void *arg),
                   const void *arg);

/* As in struct slot_kind. */
bool native_read(const struct slot *slot, void *value);
void native_write(const struct slot *slot, void *value);
bool native_same(const struct slot *slot, const void *value);

#endif
