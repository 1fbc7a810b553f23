/*
 * Finding the function behind a hooked name, by reading the loaded modules.
 *
 * Not dlsym: it allocates from the program, changes dlerror's state, and RTLD_NEXT does not see
 * libraries that were loaded RTLD_LOCAL. No lock is held while the loader's list is
 * walked: a constructor that runs inside dlopen may be in here too.
 */
#include "interpose/next.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "elf/elf.h"

enum { CACHE_SIZE = 256, NEEDED_MAX = 128 };

struct startup_search {
    const char *name;
    uint32_t hash;
    uintptr_t self;
    bool is_after; /* our own module has been passed */
    void *before, *after;
};

/* The object that baton run writes has the user's names, each leading to us. */
static bool is_generated(const struct elf_module *module)
{
    return module->soname && !strcmp(module->soname, GENERATED_OBJECT);
}

static int visit_startup(const struct elf_module *module, void *arg)
{
    struct startup_search *search = arg;

    if (search->self >= module->lo && search->self < module->hi) {
        search->is_after = true;
        return 0;
    }
    if (is_generated(module))
        return 0;
    if (search->is_after) {
        search->after = elf_dynsym_hashed(module, search->name, search->hash);
        return search->after != NULL;
    }
    if (!search->before)
        search->before = elf_dynsym_hashed(module, search->name, search->hash);
    return 0;
}

void *next_find_startup(const char *name)
{
    struct startup_search search = {
        .name = name, .hash = elf_name_hash(name), .self = (uintptr_t)next_find_startup};

    elf_each_startup(visit_startup, &search);
    return search.after ? search.after : search.before;
}

/* ---- libraries that were loaded later ---- */

/* Names of libraries that a module needs, breadth first. */
struct needed {
    const char *names[NEEDED_MAX];
    unsigned count, done;
    bool with_startup;
    struct elf_module found;
};

static void add_needed(struct needed *needed, const struct elf_module *module)
{
    if (!module->dynamic)
        return;
    for (const elf_dyn *entry = module->dynamic; entry->d_tag != DT_NULL; entry++) {
        const char *name = module->dynstr + entry->d_un.d_val;
        bool is_new = entry->d_tag == DT_NEEDED && needed->count < NEEDED_MAX;

        for (unsigned i = 0; is_new && i < needed->count; i++)
            is_new = strcmp(needed->names[i], name) != 0;
        if (is_new)
            needed->names[needed->count++] = name;
    }
}

static int visit_needed(const struct elf_module *module, void *arg)
{
    struct needed *needed = arg;
    const char *name = needed->names[needed->done];

    if (strcmp(module->name, name) != 0 && (!module->soname || strcmp(module->soname, name) != 0))
        return 0;
    if (!needed->with_startup && elf_module_is_startup(module))
        return 0;
    needed->found = *module;
    return 1;
}

int next_each_needed(const struct elf_module *module, bool with_startup,
                     int (*visit)(const struct elf_module *module, void *arg), void *arg)
{
    struct needed needed = {.with_startup = with_startup};
    int answer = visit(module, arg);

    add_needed(&needed, module);
    for (; !answer && needed.done < needed.count; needed.done++) {
        if (elf_each_module(visit_needed, &needed)) {
            answer = visit(&needed.found, arg);
            add_needed(&needed, &needed.found);
        }
    }
    return answer;
}

struct search {
    const char *name;
    void *found;
};

static bool is_ourselves(const struct elf_module *module)
{
    return (uintptr_t)next_find_startup >= module->lo && (uintptr_t)next_find_startup < module->hi;
}

static int visit_own(const struct elf_module *module, void *arg)
{
    struct search *search = arg;

    if (!is_ourselves(module))
        search->found = elf_dynsym(module, search->name);
    return search->found != NULL;
}

static int visit_any(const struct elf_module *module, void *arg)
{
    return is_generated(module) ? 0 : visit_own(module, arg);
}

void *next_find_own(const struct elf_module *module, const char *name)
{
    struct search search = {.name = name};

    next_each_needed(module, true, visit_own, &search);
    return search.found;
}

static void *find_by_caller(const char *name, const void *caller)
{
    struct search search = {.name = name};
    struct elf_module module;

    if (caller && elf_module_at(caller, &module))
        next_each_needed(&module, false, visit_own, &search);
    if (!search.found)
        elf_each_module(visit_any, &search);
    return search.found;
}

/*
 * Entries are written one at a time, and nobody waits for that: `caller` is 0 while an entry is being
 * changed, and a reader takes it only if caller and name were the same before and after it read `real`.
 * An entry is of the age in which its search began; when a library may have gone, the next age begins.
 */
static struct {
    _Atomic(const void *) caller;
    _Atomic(const char *) name;
    _Atomic(void *) real;
    _Atomic unsigned age;
} cache[CACHE_SIZE];
static _Atomic unsigned cache_age;
static atomic_bool cache_is_written;

void next_forked(void)
{
    atomic_store(&cache_is_written, false);
}

void *next_find_for(const char *name, const void *caller)
{
    unsigned slot =
        (unsigned)((((uintptr_t)caller >> 2) ^ ((uintptr_t)name >> 3)) * 2654435761u >> 16) %
        CACHE_SIZE;
    unsigned age = atomic_load_explicit(&cache_age, memory_order_acquire);
    void *real;

    if (!caller) {
        real = next_find_startup(name);
        return real ? real : find_by_caller(name, NULL);
    }
    if (atomic_load_explicit(&cache[slot].caller, memory_order_acquire) == caller &&
        atomic_load_explicit(&cache[slot].name, memory_order_acquire) == name) {
        real = atomic_load_explicit(&cache[slot].real, memory_order_acquire);
        if (atomic_load_explicit(&cache[slot].age, memory_order_acquire) != age)
            real = NULL;
        if (real && atomic_load_explicit(&cache[slot].caller, memory_order_acquire) == caller &&
            atomic_load_explicit(&cache[slot].name, memory_order_acquire) == name)
            return real;
    }
    real = next_find_startup(name); /* the program's scope comes first for everybody */
    if (!real)
        real = find_by_caller(name, caller);
    if (real && !atomic_exchange(&cache_is_written, true)) {
        atomic_store_explicit(&cache[slot].caller, NULL, memory_order_release);
        atomic_store_explicit(&cache[slot].real, real, memory_order_release);
        atomic_store_explicit(&cache[slot].name, name, memory_order_release);
        atomic_store_explicit(&cache[slot].age, age, memory_order_release);
        atomic_store_explicit(&cache[slot].caller, caller, memory_order_release);
        atomic_store_explicit(&cache_is_written, false, memory_order_release);
    }
    return real;
}

/* 1 in *kept: nothing that came with the program has it, so the caller decides every time. */
void *next_keep(const char *name, const void *caller, void **kept)
{
    void *function;

    if (!__atomic_load_n(kept, __ATOMIC_RELAXED)) {
        function = next_find_startup(name);
        __atomic_store_n(kept, function ? function : (void *)1, __ATOMIC_RELEASE);
        if (function)
            return function;
    }
    return next_find_for(name, caller);
}

void next_forget(void)
{
    atomic_fetch_add_explicit(&cache_age, 1, memory_order_acq_rel);
}
