/* Which vector registers this processor and system have, for thunk_slowly. */
#include <sys/auxv.h>

#include "userhooks/core.h"

enum { VECTORS = 32, PREDICATES = 16 + 1 /* and the first-fault register */ };

uint32_t thunk_state_mask;          /* 1: the scalable ones (SVE), of which the others are a part */
static _Atomic uint32_t state_size; /* 0: not asked yet */

uint64_t thunk_state_size(void)
{
    uint32_t size = atomic_load_explicit(&state_size, memory_order_acquire);

    if (size)
        return size;
    size = VECTORS * 16;
#ifdef HWCAP_SVE
    if (getauxval(AT_HWCAP) & HWCAP_SVE) { /* reads memory, nothing else */
        uint64_t bytes;

        __asm__(".arch_extension sve\n\trdvl %0, 1" : "=r"(bytes));
        size = (uint32_t)((VECTORS * bytes + PREDICATES * bytes / 8 + 15) & ~UINT64_C(15));
        thunk_state_mask = 1;
    }
#endif
    atomic_store_explicit(&state_size, size, memory_order_release);
    return size;
}
