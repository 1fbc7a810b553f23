/* The loaded modules one after another, and which of them came with the program.
 *
 * Promise: what came with the program stays where it is; it is noted at the first look, and from then on
 * found without the loader and its lock, which a forked child may find held (walk.c).
 */
#include "base/auxv.h"
#include "base/arch.h"
#include "base/clock.h"
#include "elf/elf.h"

#include <string.h>

#include "elf/file.h"
#include "base/sys.h"

struct elf_visit {
    int (*visit)(const struct elf_module *module, void *arg);
    void *arg;
    size_t i;
};

/* What came with the program has been looked at already: it stays what and where it is. */
static const struct elf_module *elf_known_module(const struct dl_phdr_info *info, size_t i)
{
    const struct elf_module *known = &elf_startup_list[i];

    return i < STARTUP_KNOWN && i < __atomic_load_n(&elf_startup_known, __ATOMIC_ACQUIRE) &&
                   known->phdr == info->dlpi_phdr && known->base == info->dlpi_addr &&
                   known->tls_modid == info->dlpi_tls_modid
               ? known
               : NULL;
}

static int elf_visit_module(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct elf_visit *v = arg;
    const struct elf_module *known = elf_known_module(info, v->i);
    struct elf_module module;

    if (v->i == 0) {
        elf_last_loaded = info->dlpi_adds;
        elf_last_unloaded = info->dlpi_subs;
    }
    if (!known)
        elf_module_fill(info, v->i == 0, &module);
    v->i++;
    return v->visit(known ? known : &module, v->arg);
}

int elf_each_module(int (*visit)(const struct elf_module *module, void *arg), void *arg)
{
    struct elf_visit v = {visit, arg, 0};

    return elf_iterate(elf_visit_module, &v);
}

/* The loader appends what dlopen brings to the end of its list. So everything up to the last module
 * that is reached from the program through DT_NEEDED was there at the start, the preloaded ones
 * too. Such modules are never unloaded: the number, once found, stays right. */
struct elf_loaded {
    const elf_dyn *dynamic;
    const char *dynstr;
    size_t dynstr_len;
    uint64_t name_hash, soname_hash;
};

struct elf_loaded_list {
    struct elf_loaded *at;
    size_t count, max;
    struct elf_lock_search lock;
};

static uint64_t elf_hash_name(const char *name)
{
    uint64_t hash = 14695981039346656037u;

    while (*name)
        hash = (hash ^ (unsigned char)*name++) * 1099511628211u;
    return hash;
}

/*
 * __libc_stack_end of the loader, by its map. A reference to it would be looked for by the loader, at every start, also of
 * a program that carries nothing. Threads that come at the same time write the same.
 */
static uintptr_t stack_end;

static uintptr_t elf_note_stack_end(const struct elf_module *loader)
{
    struct elf_symbol symbol;
    uintptr_t end = 0;

    if (elf_dynsym_find(loader, "__libc_stack_end", NULL, ELF_OBJECT, &symbol))
        end = *(const uintptr_t *)symbol.value;
    __atomic_store_n(&stack_end, end, __ATOMIC_RELAXED);
    return end;
}

uintptr_t elf_stack_end(void)
{
    uintptr_t end = __atomic_load_n(&stack_end, __ATOMIC_RELAXED);

    for (const struct link_map *map = end ? NULL : _r_debug.r_map; map; map = map->l_next) {
        struct elf_module module;

        if (!map->l_addr || map->l_addr != _r_debug.r_ldbase)
            continue;
        elf_module_of_map(map, &module);
        return elf_note_stack_end(&module);
    }
    return end;
}

void elf_know_loader(void)
{
    if (!auxv_stack)
        auxv_stack = (const long *)elf_stack_end();
    if (!elf_loader_walk)
        elf_loader_walk = (elf_loader_walker *)elf_of_libc("dl_iterate_phdr");
}

static int elf_visit_loaded(const struct elf_module *module, void *arg)
{
    struct elf_loaded_list *list = arg;

    if (list->count == list->max)
        return 1;
    if (module->base == _r_debug.r_ldbase && module->base) {
        elf_lock_note(&list->lock, module);
        elf_note_stack_end(module);
    }
    if (list->count < STARTUP_KNOWN)
        elf_startup_list[list->count] = *module;
    list->at[list->count++] = (struct elf_loaded){
        module->dynamic, module->dynstr, module->dynstr_len, elf_hash_name(module->name),
        module->soname ? elf_hash_name(module->soname) : 0};
    return 0;
}

static size_t elf_loaded_index(const struct elf_loaded_list *list, uint64_t hash)
{
    size_t i;

    for (i = 0; i < list->count; i++)
        if (list->at[i].name_hash == hash || list->at[i].soname_hash == hash)
            break;
    return i;
}

/* How many modules at the front of the list came with the program. Only those are looked into:
 * anything behind them may be unloaded by another thread meanwhile. */
static size_t elf_count_startup(const struct elf_loaded_list *list)
{
    size_t limit = 1;

    for (size_t i = 0; i < limit && i < list->count; i++) {
        const struct elf_loaded *loaded = &list->at[i];

        for (const elf_dyn *d = loaded->dynamic; d && d->d_tag != DT_NULL; d++) {
            size_t index;

            if (d->d_tag != DT_NEEDED || d->d_un.d_val >= loaded->dynstr_len)
                continue;
            index = elf_loaded_index(list, elf_hash_name(loaded->dynstr + d->d_un.d_val));
            if (index < list->count && index >= limit)
                limit = index + 1;
        }
    }
    return limit;
}

/* Through the loader: where nobody noted the end of its list in time. */
static size_t elf_count_loaded(void)
{
    size_t count, len = 256 << 10;
    struct elf_loaded_list list = {.max = len / sizeof *list.at};

    list.at = sys_map(len, -1);
    if (!list.at)
        return 0;
    elf_each_module(elf_visit_loaded, &list);
    elf_lock_choose(&list.lock);
    count = elf_count_startup(&list);
    sys_unmap(list.at, len);
    return count;
}

/* From its list alone: no lock, no memory, no call of the system. Threads that come at the same time write
 * the same. */
static size_t elf_count_noted(void)
{
    size_t count = 0;

    for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next) {
        struct elf_module module;

        elf_module_of_map(map, &module);
        if (count < STARTUP_KNOWN)
            elf_startup_list[count] = module;
        count++;
        if (map == elf_startup_last)
            break;
    }
    return count;
}

ARCH_WRITTEN_EARLY const struct link_map *elf_startup_last;

static size_t elf_startup_count(void)
{
    size_t count = __atomic_load_n(&elf_startup_known, __ATOMIC_ACQUIRE);

    if (count)
        return count;
    count = elf_startup_last ? elf_count_noted() : elf_count_loaded();
    if (!count)
        return 1;
    __atomic_store_n(&elf_startup_known, count, __ATOMIC_RELEASE);
    return count;
}

struct elf_completion {
    struct elf_lock_search lock;
    size_t i, count;
    bool is_first; /* nobody has looked at the list yet */
};

/* The loader says all of it: what its list for debuggers has, whose objects' headers would have to be asked for, too. */
static int elf_visit_complete(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct elf_completion *completion = arg;
    size_t i = completion->i++;
    struct elf_module beyond, *module = &beyond;

    if (i < STARTUP_KNOWN)
        module = &elf_startup_list[i];

    if (i == 0) {
        elf_last_loaded = info->dlpi_adds;
        elf_last_unloaded = info->dlpi_subs;
    }
    if (completion->is_first)
        elf_module_fill(info, i == 0, module);
    else if (module != &beyond && module->base == info->dlpi_addr)
        module->tls_modid = info->dlpi_tls_modid;
    else
        return completion->i >= completion->count;
    if (module->base == _r_debug.r_ldbase && module->base) {
        elf_lock_note(&completion->lock, module);
        elf_note_stack_end(module);
    }
    return completion->i >= completion->count;
}

uintptr_t elf_vdso(void)
{
    static uintptr_t vdso =
        1; /* not asked for yet; threads that come at the same time write the same */

    if (__atomic_load_n(&vdso, __ATOMIC_RELAXED) == 1)
        __atomic_store_n(&vdso, auxv_get(AT_SYSINFO_EHDR), __ATOMIC_RELAXED);
    return __atomic_load_n(&vdso, __ATOMIC_RELAXED);
}

/* The kernel's page with the time, as everybody else reads it. */
static void elf_find_clock(void)
{
    const elf_ehdr *header = (const elf_ehdr *)elf_vdso();
    struct dl_phdr_info info = {.dlpi_addr = (uintptr_t)header, .dlpi_name = ""};
    struct elf_module module;
    struct elf_symbol symbol;

    if (!header)
        return;
    info.dlpi_phdr = (const void *)((const char *)header + header->e_phoff);
    info.dlpi_phnum = header->e_phnum;
    elf_module_fill(&info, false, &module);
    if (elf_dynsym_find(&module, ARCH_VDSO_CLOCK, NULL, ELF_FUNC, &symbol))
        clock_source = (int (*)(clockid_t, struct timespec *))symbol.value;
}

void elf_begin(void)
{
    struct elf_completion completion = {.count = 0};

    elf_know_program();
    elf_find_clock();
    if (!elf_startup_last) {
        elf_startup_count();
        return;
    }
    completion.count = __atomic_load_n(&elf_startup_known, __ATOMIC_ACQUIRE);
    completion.is_first = !completion.count;
    for (const struct link_map *map = _r_debug.r_map; completion.is_first && map;
         map = map->l_next) {
        completion.count++;
        if (map == elf_startup_last)
            break;
    }
    elf_iterate(elf_visit_complete, &completion);
    if (completion.is_first)
        __atomic_store_n(&elf_startup_known, completion.i, __ATOMIC_RELEASE);
    elf_lock_choose(&completion.lock);
}

bool elf_module_is_ours(const struct elf_module *module)
{
    return (uintptr_t)elf_startup_list >= module->lo && (uintptr_t)elf_startup_list < module->hi;
}

static int elf_visit_own(const struct elf_module *module, void *arg)
{
    const elf_phdr **headers = arg;

    if (!elf_module_is_ours(module))
        return 0;
    *headers = module->is_main ? NULL : module->phdr;
    return 1;
}

const elf_phdr *elf_own_headers(void)
{
    const elf_phdr *headers = NULL;

    if (!elf_each_startup(elf_visit_own, &headers))
        elf_each_module(elf_visit_own, &headers);
    return headers;
}

struct elf_startup_visit {
    int (*visit)(const struct elf_module *module, void *arg);
    void *arg;
    size_t limit;
};

static int elf_visit_startup(const struct elf_module *module, void *arg)
{
    struct elf_startup_visit *v = arg;

    return v->limit-- ? v->visit(module, v->arg) : 2;
}

int elf_each_startup(int (*visit)(const struct elf_module *module, void *arg), void *arg)
{
    struct elf_startup_visit v = {visit, arg, elf_startup_count()};
    int answer = 0;

    if (v.limit > STARTUP_KNOWN || !__atomic_load_n(&elf_startup_known, __ATOMIC_ACQUIRE))
        return elf_each_module(elf_visit_startup, &v) == 1;
    for (size_t i = 0; i < v.limit && !answer; i++)
        answer = visit(&elf_startup_list[i], arg);
    return answer == 1;
}

struct elf_position {
    const elf_phdr *phdr;
    size_t limit;
};

static int elf_visit_position(struct dl_phdr_info *info, size_t size, void *arg)
{
    struct elf_position *p = arg;

    if (!p->limit)
        return 2;
    p->limit--;
    return info->dlpi_phdr == p->phdr;
}

bool elf_module_is_startup(const struct elf_module *module)
{
    struct elf_position p = {module->phdr, elf_startup_count()};

    if (p.limit > STARTUP_KNOWN)
        return elf_iterate(elf_visit_position, &p) == 1;
    for (size_t i = 0; i < p.limit; i++) {
        if (elf_startup_list[i].phdr == module->phdr)
            return true;
    }
    return false;
}
