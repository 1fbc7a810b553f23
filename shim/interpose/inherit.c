/*
 * Which new threads start with their creator's context (rule 12, BATON_INHERIT): by default those
 * that the program starts. A worker that a pool library starts would keep its first submitter's
 * context alive for as long as the pool lives, so it starts empty; who called decides.
 */
#include "interpose/inherit.h"

#include <stdatomic.h>
#include <string.h>

#include "elf/elf.h"
#include "context/context.h"
#include "interpose/hooks.h"

/* Libraries whose own threads are pool workers: they start empty, each task brings its context. */
#define POOL(name) name,
static const char pool_libraries[][20] = {
#include "interpose/pools.def"
};
#undef POOL

static enum config_inherit inherit_setting = INHERIT_APP;
static struct config_list more_pools[2]; /* of BATON_POOLS, and of presets */
const void *_Atomic inherit_callers[INHERIT_CALLERS];

__thread unsigned inherit_own_threads;

void inherit_init(enum config_inherit setting, const struct config_list *pools,
                  const struct config_list *preset_pools)
{
    more_pools[0] = *pools;
    more_pools[1] = *preset_pools;
    inherit_setting = setting;
}

bool caller_is_pool_library(const void *address)
{
    struct elf_module module;

    if (!elf_module_at(address, &module) || module.is_main)
        return false;
    for (unsigned i = 0; i < sizeof pool_libraries / sizeof pool_libraries[0]; i++) {
        if (elf_module_match(&module, pool_libraries[i]))
            return true;
    }
    for (unsigned list = 0; list < 2; list++) {
        for (size_t i = 0; i < more_pools[list].count; i++) {
            if (elf_module_match(&module, more_pools[list].items[i].text))
                return true;
        }
    }
    return false;
}

/* Go's runtime starts threads for whatever goroutine comes, through this one function of its C part. */
static bool is_runtime_of_go(const struct elf_module *module, const void *caller)
{
    uintptr_t start, end;
    char name[32];

    if (!elf_module_is_go(module))
        return false;
    return !elf_function_at(caller, &start, &end, name, sizeof name) ||
           !strcmp(name, "_cgo_try_pthread_create");
}

bool thread_inherits_slow(const void *caller)
{
    struct elf_module module;

    if (inherit_setting != INHERIT_APP)
        return inherit_setting == INHERIT_ALL;
    if (inherit_own_threads)
        return true;
    if (caller_is_pool_library(caller))
        return false;
    if (!elf_module_at(caller, &module))
        return true;
    if (is_runtime_of_go(&module, caller))
        return false;
    /* Ourselves: a library that one of our hooks has called jumped to pthread_create, as libapr does.
     * That hook has captured already (rule 6). */
    if ((uintptr_t)&inherit_callers >= module.lo && (uintptr_t)&inherit_callers < module.hi)
        return false;
    if (elf_module_is_startup(&module))
        atomic_store_explicit(inherit_place(caller), caller, memory_order_relaxed);
    return true;
}
