/* Finding a loaded module, or a definition in load order.
 *
 * Promise: what dl_iterate_phdr says, at any time, with 500 libraries. Visitors run under the loader's
 * lock: nothing in here may call into a module.
 */
#include "elf/elf.h"

#include <stdatomic.h>
#include <string.h>

#include "elf/file.h"

/* Finding one. The cheap test first: most modules are only passed by. */

struct elf_at {
    uintptr_t address;
    struct elf_module *out;
    bool is_main;
};

static int elf_visit_at(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct elf_at *at = arg;
    bool is_main = at->is_main;

    at->is_main = false;
    for (size_t i = 0; i < info->dlpi_phnum; i++) {
        const elf_phdr *p = &info->dlpi_phdr[i];

        if (p->p_type == PT_LOAD && at->address - (info->dlpi_addr + p->p_vaddr) < p->p_memsz) {
            elf_module_fill(info, is_main, at->out);
            return 1;
        }
    }
    return 0;
}

#ifdef DLFO_EH_SEGMENT_TYPE /* glibc 2.35 */
static bool elf_find_object(const void *address, struct elf_module *out)
{
    elf_object_finder *find = elf_find_object_finder();
    struct dl_find_object found;
    struct dl_phdr_info info = {0};
    const elf_ehdr *header;

    if (!find || find((void *)(uintptr_t)address, &found) != 0)
        return false;
    header = found.dlfo_map_start;
    if (memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 || header->e_phoff > 4096 ||
        header->e_phentsize != sizeof(elf_phdr) ||
        header->e_phoff + header->e_phnum * sizeof(elf_phdr) > 4096)
        return false;
    info.dlpi_addr = found.dlfo_link_map->l_addr;
    info.dlpi_name = found.dlfo_link_map->l_name;
    info.dlpi_phdr = (const elf_phdr *)((uintptr_t)header + header->e_phoff);
    info.dlpi_phnum = header->e_phnum;
    elf_module_fill(&info, !found.dlfo_link_map->l_prev && !*info.dlpi_name, out);
    return true;
}

/* The loader's finder knows every module from before its constructors on. */
static bool elf_is_nowhere(const void *address)
{
    elf_object_finder *find = elf_find_object_finder();
    struct dl_find_object found;

    return find && find((void *)(uintptr_t)address, &found) != 0;
}
#else
static bool elf_find_object(const void *address, struct elf_module *out)
{
    return false;
}

static bool elf_is_nowhere(const void *address)
{
    return false;
}
#endif

uintptr_t elf_segment_end(const void *address)
{
    struct elf_module module;

    if (elf_is_nowhere(address) || !elf_module_at(address, &module))
        return 0;
    for (size_t i = 0; i < module.phnum; i++) {
        const elf_phdr *p = &module.phdr[i];
        uintptr_t start = module.base + p->p_vaddr;

        if (p->p_type == PT_LOAD && (uintptr_t)address - start < p->p_memsz)
            return start + p->p_memsz;
    }
    return 0;
}

bool elf_module_at(const void *address, struct elf_module *out)
{
    struct elf_at at = {(uintptr_t)address, out, true};

    return elf_find_object(address, out) || elf_iterate(elf_visit_at, &at) == 1;
}

struct elf_match {
    const char *name;
    struct elf_module *out;
};

static int elf_visit_match(const struct elf_module *module, void *arg)
{
    struct elf_match *match = arg;

    if (!elf_module_match(module, match->name))
        return 0;
    *match->out = *module;
    return 1;
}

bool elf_module_find(const char *name, struct elf_module *out)
{
    struct elf_match match = {name, out};

    return elf_each_module(elf_visit_match, &match) == 1;
}

struct elf_linked {
    void *before, *own, *after; /* the first definitions around a module, and its own */
    bool is_found;
};

static struct elf_linked elf_linked_around(const void *address, const char *name)
{
    struct elf_linked linked = {NULL, NULL, NULL, false};

    for (const struct link_map *map = _r_debug.r_map; map && !linked.after;
         map = map == elf_startup_last ? NULL : map->l_next) {
        struct elf_module module;
        struct elf_symbol symbol;
        void **place;

        elf_module_of_map(map, &module);
        place = linked.is_found ? &linked.after : &linked.before;
        if (elf_module_holds(&module, (uintptr_t)address, 1)) {
            linked.is_found = true;
            place = &linked.own;
        }
        if (!*place && elf_dynsym_find(&module, name, NULL, ELF_FUNC, &symbol) && !symbol.is_ifunc)
            *place = (void *)symbol.value;
    }
    return linked;
}

void *elf_linked_after(const void *address, const char *name)
{
    struct elf_linked linked = elf_linked_around(address, name);

    return linked.after ? linked.after : linked.before;
}

void *elf_linked_next(const void *address, const char *name)
{
    struct elf_linked linked = elf_linked_around(address, name);

    return linked.is_found && !linked.own ? linked.after : NULL;
}

struct elf_global {
    const char *name;
    uint32_t hash;
    const elf_phdr *skip;
    struct elf_module module;
    struct elf_symbol symbol;
    uintptr_t vdso; /* the kernel's own clock_gettime and the like: never what a name means */
    bool wants_count;
    unsigned count;
};

static int elf_visit_global(const struct elf_module *module, void *arg)
{
    struct elf_global *g = arg;
    struct elf_symbol symbol;

    if (module->phdr == g->skip || module->lo == g->vdso ||
        !elf_dynsym_find_hashed(module, g->name, g->hash, NULL, ELF_FUNC | ELF_OBJECT | ELF_NOTYPE,
                                &symbol))
        return 0;
    if (!g->count++) {
        g->module = *module;
        g->symbol = symbol;
    }
    return !g->wants_count;
}

void *elf_lookup_global(const char *name, const struct elf_module *skip, struct elf_module *found,
                        unsigned *count)
{
    struct elf_global g = {.name = name,
                           .hash = elf_name_hash(name),
                           .skip = skip ? skip->phdr : NULL,
                           .vdso = elf_vdso(),
                           .wants_count = count};

    /* What came with the program comes first, and can be asked without the loader. */
    if (count || !__atomic_load_n(&elf_startup_known, __ATOMIC_ACQUIRE) ||
        !elf_each_startup(elf_visit_global, &g))
        elf_each_module(elf_visit_global, &g);
    if (count)
        *count = g.count;
    if (!g.count)
        return NULL;
    if (found)
        *found = g.module;
    return elf_symbol_address(&g.symbol);
}

/* Not linked to: a name that is bound costs the start of every program a search. */
char **elf_environment(void)
{
    char ***variable = elf_lookup_global("environ", NULL, NULL, NULL);

    return variable ? *variable : NULL;
}

uintptr_t elf_heap_end(void)
{
    static const void *const nothing;
    static const void *const *_Atomic place;
    const void *const *found = atomic_load_explicit(&place, memory_order_relaxed);

    if (!found) { /* threads that come at the same time find the same */
        found = elf_lookup_global("__curbrk", NULL, NULL, NULL);
        if (!found)
            found = &nothing;
        atomic_store_explicit(&place, found, memory_order_relaxed);
    }
    return (uintptr_t)*found;
}
