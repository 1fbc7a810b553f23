/*
 * errno where a call to ask for its address costs: it lies at the same distance from each thread's thread pointer.
 *
 * The distance is looked for once, before any thread can need it (errno_begin).
 */
#ifndef BATON_BASE_ERRNO_AT_H
#define BATON_BASE_ERRNO_AT_H

#include <errno.h>
#include <stdint.h>

#include "base/arch.h"

extern intptr_t errno_from_tp __attribute__((visibility("hidden")));

static inline void errno_begin(void)
{
    errno_from_tp = (intptr_t)((uintptr_t)&errno - (uintptr_t)arch_tp());
}

static inline __attribute__((always_inline)) int errno_get(void)
{
    return arch_tp_int(errno_from_tp);
}

static inline __attribute__((always_inline)) void errno_set(int error)
{
    arch_tp_set_int(errno_from_tp, error);
}

#endif
