/* Names that an adapter wants (include/baton_adapter.h). */
#ifndef BATON_SLOTS_WANTED_H
#define BATON_SLOTS_WANTED_H

#include "baton_adapter.h"

/* Fills in its list; asked again for what is missing. NULL: all that must be there is, else why not. Under the
 * resolve lock. */
const char *wanted_find(const struct baton_adapter *table);

#endif
