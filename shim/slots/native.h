/* key:NAME,native: between key.c, which finds keys, and native.c, which moves their values. */
#ifndef BATON_SLOTS_NATIVE_H
#define BATON_SLOTS_NATIVE_H

#include "slots/slots.h"

/* Cuts ",native" off. True: it was there, and the slot is of this kind from now on. */
bool native_take(struct slot *slot, char *text);
static inline bool slot_is_native(const struct slot *slot)
{
    extern const struct slot_kind slot_kind_native;

    return slot->kind == &slot_kind_native;
}

/* The user has not asked for it, but native_choose may decide so when the key is known. */
static inline bool native_may_be(const struct slot *slot)
{
    return slots_keys_native && slot->kind == &slot_kind_key && slot->policy == POLICY_SHARE;
}

/* Makes such a slot native, or one of the overlay's if its key has a destructor. Before it is bound. */
void native_choose(struct slot *slot, bool has_destructor);
/* The key of a waiting slot is found. */
void native_bind(struct slot *slot, pthread_key_t key, bool has_destructor, const char *module);
/* Lets go of every slot for which it answers a reason. */
void native_unbind(const char *(*is_gone)(const struct slot *slot, const void *arg),
                   const void *arg);

/* key.c: finds the variable, and the key in it. */
void key_resolve(struct slot *slot);

#endif
