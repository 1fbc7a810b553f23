// Every row of hooks.def for libpthreadpool has the type of its own header.
// flags: -Ishim -DPTHREADPOOL_NO_DEPRECATED_API=1
#if __has_include(<pthreadpool.h>)
#include <pthreadpool.h>
#define WANT_PTHREADPOOL 1
/* An older header has none, a newer one the same. */
void pthreadpool_parallelize_6d(pthreadpool_t, void (*)(void *, size_t, size_t, size_t, size_t, size_t, size_t), void *, size_t,
                                size_t, size_t, size_t, size_t, size_t, uint32_t);
void pthreadpool_parallelize_6d_tile_1d(pthreadpool_t,
                                        void (*)(void *, size_t, size_t, size_t, size_t, size_t, size_t, size_t), void *,
                                        size_t, size_t, size_t, size_t, size_t, size_t, size_t, uint32_t);
#endif
#include "prototypes.h"
