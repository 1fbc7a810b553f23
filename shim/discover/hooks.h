/* How each call that is watched finds the real function, and what it notes. */
#ifndef BATON_DISCOVER_HOOKS_H
#define BATON_DISCOVER_HOOKS_H

#include "discover/record.h"

#define EXPORTED __attribute__((visibility("default")))
#define FROM __builtin_extract_return_addr(__builtin_return_address(0))

void *discover_next(const char *name, const char *version);

#define NEXT(name, version)                                                        \
    ({                                                                             \
        static __typeof__(&name) next_one;                                         \
        __typeof__(&name) next_now = __atomic_load_n(&next_one, __ATOMIC_RELAXED); \
        if (!next_now) {                                                           \
            next_now = (__typeof__(&name))discover_next(#name, version);           \
            __atomic_store_n(&next_one, next_now, __ATOMIC_RELAXED);               \
        }                                                                          \
        next_now;                                                                  \
    })

#define WAKE(by, object) record_event(DISCOVER_WAKE, by, (uintptr_t)(object), 0, FROM)
#define WAITING(by, object, call)                                                            \
    ({                                                                                       \
        __typeof__(call) waited;                                                             \
        record_event(DISCOVER_WAIT, by, (uintptr_t)(object), 0, FROM);                       \
        waited = call;                                                                       \
        record_event(DISCOVER_WOKEN, by, (uintptr_t)(object), (uint64_t)(waited < 0), FROM); \
        waited;                                                                              \
    })

#endif
