/* key:by=FUNCTION[#N][@MODULE]: between key.c and the keys that a function makes. */
#ifndef BATON_SLOTS_KEY_BY_H
#define BATON_SLOTS_KEY_BY_H

#include "slots/slots.h"

/* Of the item's text after by=: does it make sense (struct slot_kind, check)? Cuts #N off, and notes it. */
bool key_by_check(const char *at, size_t len, struct slot_error *error);
void key_by_cut_number(struct slot *slot, char *text);

/* Is the key that is being made at `caller` made by the slot's function, whose place is known? */
bool key_by_is_maker(const struct slot *slot, const void *caller);
/* Its function has made one more. True: it is the one that is meant, and the slot waits for it. */
bool key_by_count(struct slot *slot);
/* Why it still waits. */
const char *key_by_reason(const struct slot *slot);
/* A key that was counted is gone; maker: 1 + the slot whose function made it, 0: none's. Of a function all
 * of whose keys are gone the next one is the first again. */
void key_by_forget(unsigned maker);

#endif
