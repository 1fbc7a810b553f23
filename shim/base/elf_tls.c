/* Thread-local storage of other modules, and which modules were loaded with the program.
 *
 * Promise: an offset from the thread pointer is only given where the C library guarantees one, that
 * is, for modules loaded with the program. Guessing from addresses would be right almost always,
 * and write into foreign memory otherwise.
 */
#include "base/elf.h"

#include <errno.h>
#include <string.h>

#include "base/sys.h"

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
};

static size_t startup_count; /* 0: not known yet. Atomic; every writer writes the same. */

static uint64_t elf_hash_name(const char *name)
{
    uint64_t hash = 14695981039346656037u;

    while (*name)
        hash = (hash ^ (unsigned char)*name++) * 1099511628211u;
    return hash;
}

static int elf_visit_loaded(const struct elf_module *module, void *arg)
{
    struct elf_loaded_list *list = arg;

    if (list->count == list->max)
        return 1;
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

/* The first of them, for a look without the loader's lock, which a forked child may find held. */
enum { STARTUP_KNOWN = 256 };
static const elf_phdr *startup_phdr[STARTUP_KNOWN];

static int elf_visit_startup(struct dl_phdr_info *info, size_t size, void *arg)
{
    size_t *filled = arg;

    startup_phdr[(*filled)++] = info->dlpi_phdr;
    return *filled == STARTUP_KNOWN;
}

static size_t elf_startup_count(void)
{
    size_t count = __atomic_load_n(&startup_count, __ATOMIC_ACQUIRE), len = 256 << 10, filled;
    struct elf_loaded_list list = {.max = len / sizeof *list.at};

    if (count)
        return count;
    list.at = sys_map(len, -1);
    if (!list.at)
        return 1;
    elf_each_module(elf_visit_loaded, &list);
    count = elf_count_startup(&list);
    sys_unmap(list.at, len);
    filled = 0;
    dl_iterate_phdr(elf_visit_startup, &filled);
    __atomic_store_n(&startup_count, count, __ATOMIC_RELEASE);
    return count;
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
        return dl_iterate_phdr(elf_visit_position, &p) == 1;
    for (size_t i = 0; i < p.limit; i++) {
        if (startup_phdr[i] == module->phdr)
            return true;
    }
    return false;
}

/* The argument of the C library's own function, which the ABI fixes. */
struct elf_tls_index {
    unsigned long module, offset;
};

extern void *__tls_get_addr(struct elf_tls_index *index);

void *elf_tls_address(size_t modid, size_t offset)
{
    struct elf_tls_index index = {modid, offset};
    int saved_errno = errno;
    void *address = __tls_get_addr(&index);

    errno = saved_errno;
    return address;
}

bool elf_tls_tp_offset(const struct elf_module *module, size_t offset, intptr_t *out)
{
    uintptr_t block;

    if (!module->tls_modid || !elf_module_is_startup(module))
        return false;
    block = (uintptr_t)elf_tls_address(module->tls_modid, 0);
    *out = (intptr_t)(block - (uintptr_t)__builtin_thread_pointer() + offset);
    return true;
}
