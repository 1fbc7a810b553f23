/*
 * Ways to a hooked function that lead past this library: modules that were opened with RTLD_DEEPBIND
 * look into their own libraries first, and dlsym with a handle looks into that library only. A
 * reader that came that way would see the worker's values where a carried key has the task's, and
 * a handoff would not be one. So their pointers, and dlsym's answers, are led back to what we export.
 *
 * Rule: a pointer is replaced only if what our body would call is exactly what it leads to. So another
 * tool's function, a library's second copy and a tool behind us that asks for the real function
 * are left alone, and there is no way to call in a circle.
 * Rule: only modules whose relocations are done are written to: those that our own dlopen has
 * brought, once it is back, and those whose handle the program has. Their constructors have run by then.
 */
#include "interpose/bypass.h"
#include "interpose/early_tables.h"

#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdint.h>
#include <string.h>

#include "elf/elf.h"
#include "base/log.h"
#include "elf/pointers.h"
#include "interpose/hooks.h"
#include "interpose/next.h"

/* ---- names ---- */

enum { PLACES = 2048 };
_Static_assert(HOOK_COUNT * 2 < PLACES, "half of the places are to stay free");

static uint16_t hooks_by_name[PLACES]; /* 1 + id; open addressing */
static bool is_indexed;

static unsigned place_of(const char *name)
{
    uint32_t hash = 2166136261u;

    for (; *name; name++)
        hash = (hash ^ (unsigned char)*name) * 16777619u;
    return hash % PLACES;
}

/* Threads that come at the same time write the same. */
static void index_names(void)
{
    for (unsigned id = 0; id < HOOK_COUNT; id++) {
        unsigned place = place_of(hooks_name((enum hook_id)id));
        uint16_t there;

        while ((there = __atomic_load_n(&hooks_by_name[place], __ATOMIC_RELAXED)) != 0 &&
               there != id + 1)
            place = (place + 1) % PLACES;
        __atomic_store_n(&hooks_by_name[place], (uint16_t)(id + 1), __ATOMIC_RELAXED);
    }
    __atomic_store_n(&is_indexed, true, __ATOMIC_RELEASE);
}

enum hook_id bypass_row(const char *name)
{
    unsigned there;

    if (!__atomic_load_n(&is_indexed, __ATOMIC_ACQUIRE))
        index_names();
    for (unsigned place = place_of(name);
         (there = __atomic_load_n(&hooks_by_name[place], __ATOMIC_RELAXED)) != 0;
         place = (place + 1) % PLACES) {
        enum hook_id id = (enum hook_id)(there - 1);

        if (!strcmp(hooks_name(id), name))
            return id;
    }
    return HOOK_COUNT;
}

/* The hook of that name, if it is to see calls; HOOK_COUNT: none. */
static enum hook_id find_hook(const char *name)
{
    enum hook_id id = bypass_row(name);

    return id != HOOK_COUNT && family_is_on(hooks_family(id)) ? id : HOOK_COUNT;
}

void *bypass_exported(const char *name)
{
    struct elf_module self;

    return elf_module_at(&is_indexed, &self) ? elf_dynsym(&self, name) : NULL;
}

/* ---- RTLD_DEEPBIND ---- */

static bool lead_back(const struct elf_module *module, const struct elf_pointer *pointer, void *arg)
{
    enum hook_id id = find_hook(pointer->name);
    void *value, *target, *exported, *real;

    if (id == HOOK_COUNT)
        return true;
    value = __atomic_load_n(pointer->place, __ATOMIC_ACQUIRE);
    exported = bypass_exported(pointer->name);
    if (!value || value == exported)
        return true;
    target = value;
    if (elf_pointer_is_lazy(module, pointer, value))
        target = next_find_own(module, pointer->name);
    real = hooks_real_startup(id);
    if (!real)
        real = next_find_for(hooks_name(id), (const void *)module->lo);
    if (target && target == real) {
        elf_pointer_write(module, pointer->place, exported);
        *(bool *)arg = true;
    }
    return true;
}

static int lead_module_back(const struct elf_module *module, void *arg)
{
    elf_each_pointer(module, lead_back, arg);
    return 0;
}

bool bypass_opened(void *handle)
{
    /* Not linked to: older C libraries have it in a library of its own. */
    int (*info)(void *, int, void *) = (int (*)(void *, int, void *))elf_libc("dlinfo");
    int saved_errno = errno;
    bool was_bypassed = false;
    struct link_map *map;
    struct elf_module module;

    if (info && info(handle, RTLD_DI_LINKMAP, &map) == 0 && elf_module_at(map->l_ld, &module) &&
        !elf_module_is_startup(&module))
        next_each_needed(&module, false, lead_module_back, &was_bypassed);
    errno = saved_errno;
    return was_bypassed;
}

static bool has_entry(const struct elf_module *module, ElfW(Sxword) tag)
{
    for (const elf_dyn *entry = module->dynamic; entry && entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == tag)
            return true;
    }
    return false;
}

static int visit_rpath(const struct elf_module *module, void *arg)
{
    return !module->is_main && has_entry(module, DT_RPATH);
}

/*
 * The caller matters for $ORIGIN, and for a name without a slash by its search path: RUNPATH of its
 * own, RPATH of those that have loaded it. The program's RPATH holds for everybody.
 */
bool bypass_may_open_for(const char *file, const void *caller)
{
    struct elf_module module;

    if (strchr(file, '$'))
        return false;
    if (strchr(file, '/'))
        return true;
    return elf_module_at(caller, &module) && !has_entry(&module, DT_RUNPATH) &&
           !elf_each_module(visit_rpath, NULL);
}

/* ---- dlsym ---- */

/* A module that came later, and looked into its own libraries first, would find the real one. */
static bool finds_real_itself(const void *caller, enum hook_id id)
{
    struct elf_module module;
    void *real = hooks_real_startup(id);

    return real && elf_module_at(caller, &module) && !elf_module_is_startup(&module) &&
           next_find_own(&module, hooks_name(id)) == real;
}

/*
 * RTLD_NEXT is how other tools go on from a function of theirs to the next: those have one of that name.
 * Sanitizers ask so in the middle of their own dl_iterate_phdr, so that is not called here.
 */
static bool next_is_real(const void *caller, enum hook_id id)
{
    void *next = elf_linked_next(caller, hooks_name(id));

    return next && next == elf_linked_after(&is_indexed, hooks_name(id));
}

bool bypass_concerns(void *handle, const char *name, const void *caller)
{
    enum hook_id id;

    if (!name)
        return false;
    id = find_hook(name);
    if (id == HOOK_COUNT)
        return false;
    if (handle == RTLD_NEXT)
        return next_is_real(caller, id);
    return handle != RTLD_DEFAULT || finds_real_itself(caller, id);
}

void *bypass_ours_or(const char *name, void *address)
{
    void *exported = bypass_exported(name);

    return exported ? exported : address;
}

/*
 * Where no library that came with the program has the function, our body asks who calls. That may be
 * anybody who was given the pointer, so there must be no choice.
 */
void *bypass_answer(void *handle, const char *name, void *address)
{
    enum hook_id id = find_hook(name);
    struct elf_module self;
    unsigned copies = 0;
    void *real;

    if (!address || id == HOOK_COUNT)
        return address;
    if (handle == RTLD_DEFAULT)
        return bypass_ours_or(name, address);
    real = hooks_real_startup(id);
    if (!real && elf_module_at(&is_indexed, &self)) {
        real = elf_lookup_global(name, &self, NULL, &copies);
        if (copies != 1)
            return address;
    }
    return address == real ? bypass_ours_or(name, address) : address;
}

enum bypass_place bypass_look_own(void *handle, const char *name, const void *caller)
{
    struct elf_module module, self;
    unsigned copies = 0;
    void *own;

    if (!elf_module_at(caller, &module) || elf_module_is_startup(&module))
        return BYPASS_EVERYWHERE;
    if (handle == RTLD_NEXT && elf_dynsym(&module, name))
        return BYPASS_LOADER;
    own = next_find_own(&module, name);
    if (own && elf_module_at(&is_indexed, &self) &&
        elf_lookup_global(name, &self, NULL, &copies) == own && copies == 1)
        return BYPASS_OWN;
    return own || handle == RTLD_NEXT ? BYPASS_LOADER : BYPASS_EVERYWHERE;
}

void *bypass_answer_own(const char *name, const void *caller)
{
    struct elf_module module;

    return elf_module_at(caller, &module) ? bypass_ours_or(name, next_find_own(&module, name))
                                          : NULL;
}

/* ---- functions for keys that are not the C library's ---- */

static bool is_bound_to_itself(const struct elf_module *module)
{
    for (const elf_dyn *entry = module->dynamic; entry && entry->d_tag != DT_NULL; entry++) {
        if (entry->d_tag == DT_SYMBOLIC ||
            (entry->d_tag == DT_FLAGS && entry->d_un.d_val & DF_SYMBOLIC))
            return true;
    }
    return false;
}

static const char *const store_names[] = {"pthread_getspecific", "pthread_setspecific", "tss_get",
                                          "tss_set"};
enum { STORE_NAMES = sizeof store_names / sizeof store_names[0] };
struct store_search {
    uint32_t hashes[STORE_NAMES];
    bool is_behind;
};

/* In front of us a module's functions are everybody's; behind us they are its own if it says so. */
static int visit_definer(const struct elf_module *module, void *arg)
{
    struct store_search *search = arg;

    if ((uintptr_t)&is_indexed >= module->lo && (uintptr_t)&is_indexed < module->hi) {
        search->is_behind = true;
        return 0;
    }
    if (search->is_behind && !is_bound_to_itself(module))
        return 0;
    for (unsigned i = 0; i < STORE_NAMES; i++) {
        if (elf_dynsym_hashed(module, store_names[i], search->hashes[i])) {
            log_msg(LOG_LEVEL_INFO,
                    "%s has its own %s: keys without a destructor are set in the C library's store",
                    module->name, store_names[i]);
            return 1;
        }
    }
    return 0;
}

bool bypass_makes_keys_native(void)
{
    struct store_search search = {.hashes = {early_hash_of("pthread_getspecific"),
                                             early_hash_of("pthread_setspecific"),
                                             early_hash_of("tss_get"), early_hash_of("tss_set")}};

    return elf_each_startup(visit_definer, &search);
}

/* ---- keys that nobody carries ---- */

static const char *const key_names[] = {
    "pthread_getspecific",   "pthread_setspecific",   "tss_get", "tss_set",
    "__pthread_getspecific", "__pthread_setspecific",
};
enum { KEY_NAMES = sizeof key_names / sizeof key_names[0] };
static const struct elf_names keys = {
    key_names,
    KEY_NAMES,
    {ELF_NAMES_BIT('p') | ELF_NAMES_BIT('t') | ELF_NAMES_BIT('_'),
     ELF_NAMES_BIT('t') | ELF_NAMES_BIT('s') | ELF_NAMES_BIT('_'),
     ELF_NAMES_BIT('h') | ELF_NAMES_BIT('s') | ELF_NAMES_BIT('p')}};

struct direct {
    void *exported[KEY_NAMES], *real[KEY_NAMES];
};

static bool make_direct(const struct elf_module *module, const struct elf_pointer *pointer,
                        void *arg)
{
    const struct direct *direct = arg;
    size_t i = elf_names_find(&keys, pointer->name);
    void *value;

    if (i == KEY_NAMES || !direct->real[i])
        return true;
    value = __atomic_load_n(pointer->place, __ATOMIC_ACQUIRE);
    if (value == direct->exported[i] || elf_pointer_is_lazy(module, pointer, value))
        elf_pointer_write(module, pointer->place, direct->real[i]);
    return true;
}

static int make_module_direct(const struct elf_module *module, void *arg)
{
    elf_each_pointer_to(module, &keys, make_direct, arg);
    return 0;
}

void bypass_keys(void)
{
    struct direct direct = {{NULL}, {NULL}};
    struct elf_module first;

    for (unsigned i = 0; i < KEY_NAMES; i++) {
        direct.exported[i] = bypass_exported(key_names[i]);
        /* Unless the program has a function of that name, which the lazy binder would find. */
        if (elf_lookup_global(key_names[i], NULL, &first, NULL) == direct.exported[i])
            direct.real[i] = next_find_startup(key_names[i]);
    }
    elf_each_startup(make_module_direct, &direct);
}
