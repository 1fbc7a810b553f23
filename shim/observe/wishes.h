/* BATON_SHOW and BATON_PUBLISH name items that are carried. */
#ifndef BATON_OBSERVE_WISHES_H
#define BATON_OBSERVE_WISHES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/config.h"
#include "slots/slots.h"

enum { WISHES_PUBLISHED = 16 };

/* Once the items are read: says what of both means nothing, and counts it among the errors. BATON_SHOW=all is as if it had not
 * been given. */
void wishes_check(struct config *config);

/* What BATON_SHOW says of SLOT, and as what it is shown then (TRACE_STRING and its like; 0: not), where it says so. */
bool wishes_show(const struct config *config, const struct slot *slot, unsigned *kind);

/* The item that a text of BATON_PUBLISH names, and the KEY behind it, or the item's name; NULL: it names none that can be. */
const struct slot *wishes_publish(const char *text, const char **key, size_t *key_len);

#endif
