/* The functions of fn: and swap:, between the files that read such an item and those that move its value. */
#ifndef BATON_SLOTS_FN_H
#define BATON_SLOTS_FN_H

#include "slots/kind.h"
#include "slots/slots.h"

/* Places of slot->fn.name. Of swap: and at= the first only. */
enum fn_place { FN_GET, FN_SET, FN_FREE };

/* The most that fill= may be asked to write: it gets room on the stack. */
enum { FN_FILL_MOST = 256 };

#define FN_ITEM                                                                           \
    "functions: fn:get=FUNCTION,set=FUNCTION[,free=FUNCTION], fn:fill=F,size=N,set=F or " \
    "fn:at=F,size=N"
#define FN_EXTRA "get=F, set=F, fill=F, put=F, at=F, size=N, free=F, move, " POLICY_WORDS

/* fn_item.c: struct slot_kind's check and parse of fn: and swap:. */
bool fn_check(const char *at, size_t len, struct slot_error *error);
bool fn_parse(struct slot *slot, char *text, struct slot_error *error);
bool swap_parse(struct slot *slot, char *text, struct slot_error *error);

/* fn_find.c: struct slot_kind's names; finds all of an item's functions, *module is that of the first. False: it is
 * waiting or refused. */
unsigned fn_names(const struct slot *slot, struct slot_meant *meant);
bool fn_find(struct slot *slot, const char **module);

/* The same: calls the function of get= or at= with the address of some room. False: it has written there, so it is none
 * that answers. */
bool fn_answers(const struct slot *slot, uintptr_t *answer);

extern const struct slot_form fn_form;

#endif
