/*
 * Calls that a library makes to itself: libuv, libevent, libev and others call their own exported
 * functions through the procedure linkage table, so those calls reach our hooks with callbacks that
 * are the library's, or already ours. They must pass through.
 */
#ifndef BATON_INTERPOSE_REENTRY_H
#define BATON_INTERPOSE_REENTRY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Where a library lies that came with the program; zeroed at first. size is set last. */
struct library_place {
    _Atomic uintptr_t start, size;
};

bool reentry_slow(struct library_place *place, const void *function, const void *caller);

/* Whether `caller` is code of the library that `function` belongs to. */
static inline __attribute__((always_inline)) bool
caller_is_reentrant(struct library_place *place, const void *function, const void *caller)
{
    uintptr_t size = atomic_load_explicit(&place->size, memory_order_acquire);
    uintptr_t start = atomic_load_explicit(&place->start, memory_order_relaxed);

    if (__builtin_expect((uintptr_t)function - start < size, 1))
        return (uintptr_t)caller - start < size;
    return reentry_slow(place, function, caller);
}

/* Whether `address` is code of the library that came with the program under this name. */
struct library_named {
    const char *name; /* as elf_module_match has it */
    _Atomic uintptr_t start, size;
    _Atomic bool is_looked_for;
};

void library_look_for(struct library_named *library);

static inline __attribute__((always_inline)) bool address_is_of(struct library_named *library,
                                                                const void *address)
{
    if (__builtin_expect(!atomic_load_explicit(&library->is_looked_for, memory_order_acquire), 0))
        library_look_for(library);
    return (uintptr_t)address - atomic_load_explicit(&library->start, memory_order_relaxed) <
           atomic_load_explicit(&library->size, memory_order_relaxed);
}

/* Around fork. */
void reentry_fork_lock(void);
void reentry_fork_unlock(void);

#endif
