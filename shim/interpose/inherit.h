/* Which new threads inherit; every family that starts threads asks here. */
#ifndef BATON_INTERPOSE_INHERIT_H
#define BATON_INTERPOSE_INHERIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"

/* pools, preset_pools: libraries whose threads start empty besides those of pools.def; own: libraries that
 * start other's own threads; they must stay. */
void inherit_init(enum config_inherit setting, const struct config_list *pools,
                  const struct config_list *preset_pools, const struct config_list *own);

/* A report is wanted: it tells of libraries whose threads keep what they began with (inherit_keeping). */
void inherit_report(void);
/* How many libraries are told of, of each kind. */
enum { INHERIT_TOLD = 16 };
/* The file's name of a library whose threads inherit, as nobody has listed it: a pool of such shows its first submitter's
 * values to all. NULL: no more. */
const char *inherit_keeping(unsigned i);

/*
 * Callers whose threads inherit, by return address: the usual case is one look (of libstdc++ also classes of work). Only callers in what
 * came with the program are remembered (others may be unloaded), and none unless BATON_INHERIT=app.
 */
enum { INHERIT_CALLERS = 64 };
extern const void *_Atomic inherit_callers[INHERIT_CALLERS];

static inline const void *_Atomic *inherit_place(const void *caller)
{
    return &inherit_callers[((uintptr_t)caller >> 4) % INHERIT_CALLERS];
}

static inline __attribute__((always_inline)) bool thread_inherits_surely(const void *caller)
{
    return *(const void *const *)inherit_place(caller) == caller;
}

bool thread_inherits_slow(const void *caller, const void *arg);

/* Not 0: the calling thread is inside a creator that means "my own thread" (QThread::start), so what a
 * pool library starts now inherits. */
extern __thread unsigned inherit_own_threads
    __attribute__((tls_model("initial-exec"), visibility("hidden")));

/* The same for one that starts it by a creator that means "a thread of my own" (g_thread_new, thrd_create). */
bool creator_inherits(const void *caller);

/* Whether a thread that `caller` (a return address) starts by pthread_create with that argument inherits its creator's
 * context. */
static inline bool thread_inherits(const void *caller, const void *arg)
{
    return thread_inherits_surely(caller) || thread_inherits_slow(caller, arg);
}

#endif
