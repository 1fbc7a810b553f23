/* Threads, and what other families need of them. */
#ifndef BATON_HANDOFFS_PTHREAD_H
#define BATON_HANDOFFS_PTHREAD_H

#include <stdbool.h>

#include "base/config.h"

void pthread_hooks_init(enum config_inherit setting);

/* Whether a thread that `caller` (a return address) starts inherits its creator's context: rule 12. */
bool thread_inherits(const void *caller);

#endif
