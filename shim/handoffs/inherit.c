/*
 * Which new threads start with their creator's context (rule 12, BATON_INHERIT): by default those
 * that the program starts. A worker that a pool library starts would keep its first submitter's
 * context alive for as long as the pool lives, so it starts empty; who called decides.
 */
#include "handoffs/inherit.h"

#include <stdatomic.h>

#include "base/elf.h"
#include "context/context.h"
#include "handoffs/hooks.h"

/* Libraries whose own threads are pool workers: they start empty, each task brings its context. */
static const char *const pool_libraries[] = {
    "libglib-2.0", "libgio-2.0", "libgthread-2.0", "libgstreamer-1.0", "libuv",     "libgomp",    "libomp",
    "libiomp5",    "libapr-1",   "libaprutil-1",   "libtbb",           "libQt5Core", "libQt6Core", "libpthreadpool",
    "libvips",     "libisc",     "libldap",        "libboost_asio",    "libnode",
};

static enum config_inherit inherit = INHERIT_APP;

void inherit_init(enum config_inherit setting)
{
    inherit = setting;
}

/*
 * By return address, remembered: a word is the address shifted left with the answer in bit 0, so it
 * is read and written whole. Libraries of the program stay; those loaded later are not remembered.
 */
enum { CALLERS = 64 };
static _Atomic uintptr_t callers[CALLERS];

bool caller_is_pool_library(const void *address)
{
    _Atomic uintptr_t *place = &callers[((uintptr_t)address >> 4) % CALLERS];
    uintptr_t word = atomic_load_explicit(place, memory_order_relaxed);
    struct elf_module module;
    bool is_pool = false;

    if (word >> 1 == (uintptr_t)address)
        return word & 1;
    if (!elf_module_at(address, &module))
        return false;
    for (unsigned i = 0; i < sizeof pool_libraries / sizeof pool_libraries[0]; i++)
        is_pool |= !module.is_main && elf_module_match(&module, pool_libraries[i]);
    if (elf_module_is_startup(&module))
        atomic_store_explicit(place, (uintptr_t)address << 1 | is_pool, memory_order_relaxed);
    return is_pool;
}

bool thread_inherits(const void *caller)
{
    if (likely(inherit == INHERIT_APP))
        return !caller_is_pool_library(caller);
    return inherit == INHERIT_ALL;
}
