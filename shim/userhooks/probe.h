/* What a thunk of one call of kind=call knows (probe.c). */
#ifndef BATON_USERHOOKS_PROBE_H
#define BATON_USERHOOKS_PROBE_H

#include "userhooks/core.h"

struct probe {
    struct thunk *of; /* the function that handed it over */
    const struct thread *by;
    uint64_t data;
    _Atomic(void *) held; /* its context, or its registration; NULL: it has run */
};

#endif
