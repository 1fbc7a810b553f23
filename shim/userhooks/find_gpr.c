/* What stands behind the thunks, and which there is already for a function: the rules of core_gpr.c hold. */
#include "userhooks/core.h"

struct thunk thunks[THUNKS];
_Atomic unsigned thunks_used;
unsigned thunks_rows_end;
const char *thunk_bank;
void *thunk_dlsym;

unsigned thunk_find(const struct named_hook *hook, enum thunk_role role, const void *original)
{
    unsigned used = atomic_load_explicit(&thunks_used, memory_order_acquire);

    for (unsigned i = thunks_rows_end; i < used; i++) {
        if (thunks[i].hook == hook && thunks[i].role == role &&
            atomic_load_explicit(&thunks[i].original, memory_order_relaxed) == original)
            return i;
    }
    return 0;
}
