/*
 * Shadow vtables: an object of a C++ type gets a copy of its vtable in which a few slots are ours.
 *
 * For libraries that run what they were given through a virtual function: nothing of the run side has
 * to have a name, and calls that the compiler has resolved behind a comparison of the function's address
 * come our way too. Only the object's vptr changes, and whoever shadows an object knows that it has one
 * at its first word.
 *
 * Any thread, no lock; not in a signal handler. A shadow is made once for a type and stays. It is a copy of
 * what lies before the address point too (type information, offsets to virtual bases), as far as the
 * segment goes. Source: the Itanium C++ ABI, 2.5.
 */
#ifndef BATON_INTERPOSE_VTABLE_H
#define BATON_INTERPOSE_VTABLE_H

#include <stdbool.h>
#include <stddef.h>

/* BEFORE: words that are copied from before the address point. */
enum { VTABLE_BEFORE = 32, VTABLE_SLOTS = 224, VTABLE_REPLACED_MAX = 8 };

/* Which slots are replaced by what. It must stay as long as the process; slots are counted from 0. */
struct vtable_set {
    unsigned count; /* 1 to VTABLE_REPLACED_MAX */
    struct vtable_slot {
        unsigned slot; /* less than VTABLE_SLOTS */
        void *function;
    } replaced[VTABLE_REPLACED_MAX];
};

struct vtable_shadow {
    const struct vtable_set *set;
    void **real;
    struct vtable_shadow *next;
    void *replaced[VTABLE_REPLACED_MAX]; /* what stood in the slots of the set */
    void *words[VTABLE_BEFORE + VTABLE_SLOTS];
};

/*
 * The shadow of the vtable REAL (a vptr's value) for SET. NULL: there is no memory, or REAL lies in no
 * loaded module, so that nobody knows how far it may be read; or a slot of SET is no address of code.
 * The type of an object in a library that has been unloaded and loaded anew is a new one.
 */
void **vtable_shadow(const struct vtable_set *set, void **real);

/* Whether VPTR is a shadow for SET. */
static inline bool vtable_is_shadow(const struct vtable_set *set, void *const *vptr)
{
    return vptr[set->replaced[0].slot] == set->replaced[0].function;
}

/* The vtable that SHADOW was made from. */
static inline void **vtable_real(void **shadow)
{
    return ((struct vtable_shadow *)((char *)(shadow - VTABLE_BEFORE) -
                                     offsetof(struct vtable_shadow, words)))
        ->real;
}

#endif
