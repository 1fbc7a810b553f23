/* The shadow vtables of one hook of kind=virtual. */
#ifndef BATON_USERHOOKS_VIRTUAL_H
#define BATON_USERHOOKS_VIRTUAL_H

#include "interpose/vtable.h"
#include "userhooks/named.h"

struct named_virtual {
    struct vtable_set set;    /* the slots that run, then those that end */
    void **_Atomic known[16]; /* shadows, by the vtable that they were made of */
};

/* What a thunk of role THUNK_VIRTUAL has as its original: which of the set's slots it stands in. */
extern const char named_virtual_slots[NAMED_SLOTS * 2];

/* Before the hook is used: gives its slots their thunks. Slow. */
void named_virtual_begin(struct named_hook *hook);

#endif
