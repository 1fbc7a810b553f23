/*
 * Which new threads start with their creator's context (rule 12, BATON_INHERIT): by default those
 * that the program starts. A worker that a library starts would show its first submitter's context to every
 * request for as long as the pool lives: losing a context is an orphan, giving another request's is worse. So
 * it starts empty, unless it comes through a creator that means "a thread of my own"; the calling module decides.
 */
#include "interpose/inherit.h"

#include <stdatomic.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "elf/elf.h"
#include "context/context.h"
#include "interpose/hooks.h"

/* Libraries whose own threads are pool workers: they start empty, each task brings its context. */
#define POOL(name) name,
#define OWN(name)
static const char pool_libraries[][20] = {
#include "interpose/pools.def"
};
#undef POOL
#undef OWN
/* Libraries by which threads are started that are their starter's own. */
#define POOL(name)
#define OWN(name) name,
static const char own_libraries[][20] = {
#include "interpose/pools.def"
};
#undef POOL
#undef OWN

static enum config_inherit inherit_setting = INHERIT_APP;
static struct config_list more_pools[2]; /* of BATON_POOLS, and of presets */
static struct config_list more_own;      /* of BATON_OWN */
const void *_Atomic inherit_callers[INHERIT_CALLERS];

/* Libraries whose threads keep what their starter had; a report names them. */
static struct {
    _Atomic uintptr_t lo; /* 0: none */
    char name[48];
    _Atomic bool is_named;
} keeping[INHERIT_TOLD];
static bool is_reported;
static const void *_Atomic std_caller; /* where libstdc++ calls pthread_create */

__thread unsigned inherit_own_threads;

void inherit_init(enum config_inherit setting, const struct config_list *pools,
                  const struct config_list *preset_pools, const struct config_list *own)
{
    more_own = *own;
    more_pools[0] = *pools;
    more_pools[1] = *preset_pools;
    inherit_setting = setting;
}

static bool is_in_list(const struct elf_module *module, const struct config_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        if (elf_module_match(module, list->items[i].text))
            return true;
    }
    return false;
}

static bool is_pool(const struct elf_module *module)
{
    for (unsigned i = 0; i < sizeof pool_libraries / sizeof pool_libraries[0]; i++) {
        if (elf_module_match(module, pool_libraries[i]))
            return true;
    }
    return is_in_list(module, &more_pools[0]) || is_in_list(module, &more_pools[1]);
}

/* Of a library that calls pthread_create: what it starts is somebody's own thread. */
static bool is_creator(const struct elf_module *module)
{
    struct elf_symbol symbol;

    for (unsigned i = 0; i < sizeof own_libraries / sizeof own_libraries[0]; i++) {
        if (elf_module_match(module, own_libraries[i]))
            return true;
    }
    return elf_dynsym_find(module, "pthread_create", NULL, ELF_FUNC, &symbol);
}

void inherit_report(void)
{
    is_reported = true;
}

const char *inherit_keeping(unsigned i)
{
    return atomic_load(&keeping[i].is_named) ? keeping[i].name : NULL;
}

/* Once a library: whoever sees one request's values in another is to find here whose threads they were. */
static void tell_of_keeping(const struct elf_module *module)
{
    for (unsigned i = 0; i < INHERIT_TOLD; i++) {
        uintptr_t nobody = 0;

        if (atomic_compare_exchange_strong(&keeping[i].lo, &nobody, module->lo)) {
            fmt_buf(keeping[i].name, sizeof keeping[i].name, "%s", module->name);
            atomic_store(&keeping[i].is_named, true);
            log_msg(LOG_LEVEL_INFO,
                    "threads that %s starts by std::thread, g_thread_new or the like begin with "
                    "their starter's values and keep them; BATON_POOLS=%s if they serve others",
                    module->name, module->name);
            return;
        }
        if (nobody == module->lo)
            return;
    }
}

/* Once a library: nothing that was asked for is dropped in silence. */
static void tell_of_workers(const struct elf_module *module)
{
    static _Atomic uintptr_t told[INHERIT_TOLD];

    for (unsigned i = 0; i < INHERIT_TOLD; i++) {
        uintptr_t nobody = 0;

        if (atomic_compare_exchange_strong(&told[i], &nobody, module->lo)) {
            log_msg(LOG_LEVEL_INFO,
                    "threads that %s starts are taken for workers and begin with nothing; "
                    "BATON_OWN=%s if they are its caller's own",
                    module->name, module->name);
            return;
        }
        if (nobody == module->lo)
            return;
    }
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

/*
 * libstdc++ is what calls pthread_create for every std::thread; who makes the thread is told by the class of its work, whose
 * table of virtual functions the compiler puts beside the code. Only asked where somebody named libraries, or is told
 * whose threads keep what they have.
 * Source: GCC 5 to 16, libstdc++-v3/src/c++11/thread.cc, thread::_M_start_thread: the argument is a thread::_State.
 */
static bool work_inherits(const void *caller, const void *work)
{
    const void *const *table = work;
    struct elf_module module;

    if (!table || !elf_module_at(*table, &module))
        return true;
    if (!module.is_main && !is_in_list(&module, &more_own)) {
        if (is_pool(&module))
            return false;
        if (!is_creator(&module))
            tell_of_keeping(&module);
    }
    if (elf_module_is_startup(&module)) {
        atomic_store_explicit(inherit_place(*table), *table, memory_order_relaxed);
        atomic_store_explicit(&std_caller, caller, memory_order_relaxed);
    }
    return true;
}

static bool has_to_know(void)
{
    return more_pools[0].count || more_pools[1].count || is_reported || log_level >= LOG_LEVEL_INFO;
}

/* WORK: what pthread_create's function is given; NULL: another creator. */
static bool inherits(const void *caller, bool is_named_creator, const void *work)
{
    struct elf_module module;

    if (inherit_setting != INHERIT_APP)
        return inherit_setting == INHERIT_ALL;
    if (inherit_own_threads)
        return true;
    if (!elf_module_at(caller, &module))
        return true;
    if (is_runtime_of_go(&module, caller))
        return false;
    /* Ourselves: a library that one of our hooks has called jumped to pthread_create, as libapr does.
     * That hook has captured already (rule 6). */
    if ((uintptr_t)&inherit_callers >= module.lo && (uintptr_t)&inherit_callers < module.hi)
        return false;
    if (!module.is_main && !is_in_list(&module, &more_own)) {
        if (is_pool(&module))
            return false;
        if (!is_creator(&module)) {
            if (!is_named_creator) {
                tell_of_workers(&module);
                return false;
            }
            tell_of_keeping(&module);
        }
    }
    if (has_to_know() && elf_module_match(&module, "libstdc++"))
        return work_inherits(caller, work);
    if (elf_module_is_startup(&module))
        atomic_store_explicit(inherit_place(caller), caller, memory_order_relaxed);
    return true;
}

bool thread_inherits_slow(const void *caller, const void *arg)
{
    if (arg && caller == atomic_load_explicit(&std_caller, memory_order_relaxed) &&
        thread_inherits_surely(*(const void *const *)arg))
        return true;
    return inherits(caller, false, arg);
}

bool creator_inherits(const void *caller)
{
    return thread_inherits_surely(caller) || inherits(caller, true, NULL);
}
