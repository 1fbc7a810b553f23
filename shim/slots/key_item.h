/* Between key.c and the text of its items. */
#ifndef BATON_SLOTS_KEY_ITEM_H
#define BATON_SLOTS_KEY_ITEM_H

#include "slots/slots.h"

extern const struct slot_form key_form;

/* As in struct slot_kind; the text is without ",native". */
bool key_item_check(const char *at, size_t len, struct slot_error *error);
bool key_item_parse(struct slot *slot, char *text, bool is_native, struct slot_error *error);

#endif
