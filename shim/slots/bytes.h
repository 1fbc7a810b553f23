/* The bytes of values, which may be of static objects or on a stack: no sanitizer looks on. */
#ifndef BATON_SLOTS_BYTES_H
#define BATON_SLOTS_BYTES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/arch.h"

void bytes_copy(char *to, const char *from, size_t size);
bool bytes_are_same(const char *one, const char *other, size_t size);

#ifdef ARCH_WIDE
/* Have the processor and the system registers of 32 bytes? Asked of them once. */
enum bytes_width { BYTES_UNKNOWN, BYTES_WIDE, BYTES_NARROW };
extern _Atomic enum bytes_width bytes_width __attribute__((visibility("hidden")));
bool bytes_ask_width(void);

static inline bool bytes_are_wide(void)
{
    enum bytes_width width = atomic_load_explicit(&bytes_width, memory_order_relaxed);

    return __builtin_expect(width == BYTES_WIDE, 1) ||
           (width == BYTES_UNKNOWN && bytes_ask_width());
}
#endif

#endif
