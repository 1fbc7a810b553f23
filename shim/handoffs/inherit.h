/* Which new threads inherit; every family that starts threads asks here. */
#ifndef BATON_HANDOFFS_INHERIT_H
#define BATON_HANDOFFS_INHERIT_H

#include <stdbool.h>

#include "base/config.h"

void inherit_init(enum config_inherit setting);

/* Whether a thread that `caller` (a return address) starts inherits its creator's context. */
bool thread_inherits(const void *caller);

#endif
