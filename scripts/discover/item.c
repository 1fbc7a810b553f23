/*
 * The item of BATON_HOOKS for a function whose arguments are known: by its debug information, or by what its
 * instructions keep where, compared with what a worker calls.
 */
#include <stdio.h>

#include "discover.h"

bool dwarf_item(const struct signature *signature, const char *function, char *buf, size_t n)
{
    for (unsigned i = 0; i < signature->count; i++) {
        const struct parameter *callback = &signature->parameter[i];

        if (callback->is_stdfunction) {
            snprintf(buf, n, "%s(kind=stdfunction,obj=%u)", function, i + 1);
            return true;
        }
        if (!callback->is_function || !callback->takes_pointer)
            continue;
        for (unsigned j = 0; j < signature->count; j++) {
            unsigned at = (i + 1 + j) % signature->count; /* mostly the next one */

            if (at == i || !signature->parameter[at].is_pointer ||
                (at == 0 && i != 0 && signature->count > 2 && j + 1 < signature->count))
                continue;
            if (callback->data_argument > 1)
                snprintf(buf, n, "%s(kind=call,fn=%u,arg=%u,cbarg=%u)", function, i + 1, at + 1,
                         callback->data_argument);
            else
                snprintf(buf, n, "%s(kind=call,fn=%u,arg=%u)", function, i + 1, at + 1);
            return true;
        }
    }
    return false;
}
