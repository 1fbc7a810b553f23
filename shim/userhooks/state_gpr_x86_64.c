/* Which vector registers this processor and system have, for thunk_slowly. */
#include "userhooks/core.h"

/* x87, SSE, AVX, AVX-512, PKRU is not saved; AMX tiles are nothing that we could touch. */
enum { STATE_WANTED = 0xe7, LEGACY_SIZE = 512, HEADER_SIZE = 64 };

uint32_t thunk_state_mask;
static _Atomic uint32_t state_size; /* 0: not asked yet */

uint64_t thunk_state_size(void)
{
    uint32_t size = atomic_load_explicit(&state_size, memory_order_acquire);
    unsigned eax, ebx, ecx, edx;

    if (size)
        return size;
    size = LEGACY_SIZE;
    if (__get_cpuid(1, &eax, &ebx, &ecx, &edx) && ecx & bit_OSXSAVE) {
        uint32_t enabled, unused;

        __asm__("xgetbv" : "=a"(enabled), "=d"(unused) : "c"(0));
        thunk_state_mask = enabled & STATE_WANTED;
        size += HEADER_SIZE;
        for (unsigned part = 2; part < 8; part++) {
            if (!(thunk_state_mask >> part & 1))
                continue;
            __cpuid_count(13, part, eax, ebx, ecx, edx);
            if (ebx + eax > size)
                size = ebx + eax;
        }
    }
    atomic_store_explicit(&state_size, size, memory_order_release);
    return size;
}
