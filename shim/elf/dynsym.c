/* Exported names, through the hash tables that the loader uses.
 *
 * Promise: the answer that dlsym would give, without its lock order, its allocations and its error
 * buffer: default versions only, undefined entries and procedure linkage entries left out. Resolvers
 * of indirect functions are foreign code: they run after dl_iterate_phdr has come back, never under
 * the loader's lock.
 */
#include "elf/elf.h"

#include <string.h>
#include <elf.h>

#include "base/arch.h"
#include "base/auxv.h"
#include "elf/file.h"

#define VERSYM_HIDDEN 0x8000

static bool elf_version_is(const struct elf_module *m, elf_half index, const char *version)
{
    const ElfW(Verdef) *def = NULL;
    size_t count = 0;

    for (const elf_dyn *d = m->dynamic; elf_dynamic_is(m, d); d++) {
        if (d->d_tag == DT_VERDEF)
            def = (const void *)(d->d_un.d_ptr < m->lo ? d->d_un.d_ptr + m->base : d->d_un.d_ptr);
        else if (d->d_tag == DT_VERDEFNUM)
            count = d->d_un.d_val;
    }
    for (; def && count--; def = (const void *)((const char *)def + def->vd_next)) {
        const ElfW(Verdaux) * aux;

        if (!elf_module_holds(m, (uintptr_t)def, sizeof *def))
            return false;
        aux = (const void *)((const char *)def + def->vd_aux);
        if (!elf_module_holds(m, (uintptr_t)aux, sizeof *aux))
            return false;
        if (def->vd_ndx == (index & ~VERSYM_HIDDEN))
            return aux->vda_name < m->dynstr_len && strcmp(m->dynstr + aux->vda_name, version) == 0;
        if (!def->vd_next)
            break;
    }
    return false;
}

struct elf_wanted {
    const struct elf_module *module;
    const char *name, *version;
    unsigned want;
    uint32_t hash;
    size_t len;
};

static bool elf_dynsym_fits(const struct elf_wanted *w, size_t index)
{
    const struct elf_module *m = w->module;
    const elf_sym *sym = &m->dynsym[index];
    unsigned bind;

    if ((uintptr_t)(sym + 1) > m->hi || sym->st_name >= m->dynstr_len)
        return false;
    bind = ELF64_ST_BIND(sym->st_info);
    if (sym->st_shndx == SHN_UNDEF || (!sym->st_value && ELF64_ST_TYPE(sym->st_info) != STT_TLS) ||
        !(elf_symbol_kind(sym->st_info) & w->want) ||
        (bind != STB_GLOBAL && bind != STB_WEAK && bind != STB_GNU_UNIQUE))
        return false;
    /* The table ends with a terminator: so far it may be read. */
    if (m->dynstr_len - sym->st_name <= w->len ||
        memcmp(m->dynstr + sym->st_name, w->name, w->len + 1) != 0)
        return false;
    if (!m->versym)
        return true;
    if (!elf_module_holds(m, (uintptr_t)&m->versym[index], sizeof *m->versym))
        return false;
    return w->version ? elf_version_is(m, m->versym[index], w->version)
                      : !(m->versym[index] & VERSYM_HIDDEN);
}

/* Most modules have not the name: then no more than this is looked at. */
static inline bool elf_may_have(const struct elf_module *m, uint32_t hash)
{
    const uint32_t *header = m->gnu_hash;
    uint32_t bucket_count = header[0], bloom_count = header[2];
    const ElfW(Addr) *bloom = (const void *)(header + 4);
    ElfW(Addr) word;
    enum { BITS = 8 * sizeof word };

    if (!bucket_count || !bloom_count ||
        bloom_count * sizeof *bloom + bucket_count * 4ul > m->hi - (uintptr_t)bloom)
        return false;
    word = bloom[hash / BITS & (bloom_count - 1)];
    return word >> (hash % BITS) & word >> ((hash >> (header[3] & 31)) % BITS) & 1;
}

static size_t elf_lookup_gnu(const struct elf_wanted *w)
{
    const struct elf_module *m = w->module;
    const uint32_t *header = m->gnu_hash;
    uint32_t bucket_count = header[0], first = header[1], bloom_count = header[2], hash = w->hash;
    const ElfW(Addr) *bloom = (const void *)(header + 4);
    const uint32_t *buckets, *chain;

    buckets = (const void *)(bloom + bloom_count);
    chain = buckets + bucket_count;
    for (size_t i = buckets[hash % bucket_count]; i >= first && i; i++) {
        const uint32_t *link = chain + (i - first);

        if ((uintptr_t)(link + 1) > m->hi)
            break;
        if ((*link | 1) == (hash | 1) && elf_dynsym_fits(w, i))
            return i;
        if (*link & 1)
            break;
    }
    return 0;
}

static size_t elf_lookup_sysv(const struct elf_wanted *w)
{
    const struct elf_module *m = w->module;
    const uint32_t *table = m->sysv_hash;
    uint32_t bucket_count = table[0], chain_count = table[1], hash = 0, left;

    for (const char *c = w->name; *c; c++) {
        hash = (hash << 4) + (unsigned char)*c;
        hash = (hash ^ (hash >> 24 & 0xf0)) & 0x0fffffff;
    }
    if (!bucket_count || (2ul + bucket_count + chain_count) * 4 > m->hi - (uintptr_t)table)
        return 0;
    left = chain_count; /* a chain that bites its tail ends all the same */
    for (uint32_t i = table[2 + hash % bucket_count]; i && i < chain_count && left--;
         i = table[2 + bucket_count + i])
        if (elf_dynsym_fits(w, i))
            return i;
    return 0;
}

uint32_t elf_name_hash(const char *name)
{
    uint32_t hash = 5381;

    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

bool elf_dynsym_find(const struct elf_module *module, const char *name, const char *version,
                     unsigned want, struct elf_symbol *out)
{
    return elf_dynsym_find_hashed(module, name, elf_name_hash(name), version, want, out);
}

static APART bool elf_dynsym_take(const struct elf_module *module, const char *name, uint32_t hash,
                                  const char *version, unsigned want, struct elf_symbol *out)
{
    struct elf_wanted w = {module, name, version, want, hash, strlen(name)};
    const elf_sym *sym;
    size_t index = 0;

    if (module->gnu_hash)
        index = elf_lookup_gnu(&w);
    else if (module->sysv_hash)
        index = elf_lookup_sysv(&w);
    if (!index)
        return false;
    sym = &module->dynsym[index];
    return elf_symbol_fill(module, sym->st_info, sym->st_shndx, sym->st_value, sym->st_size,
                           ELF_FROM_DYNSYM, out);
}

bool elf_dynsym_find_hashed(const struct elf_module *module, const char *name, uint32_t hash,
                            const char *version, unsigned want, struct elf_symbol *out)
{
    if (!module->dynsym || (module->gnu_hash && !elf_may_have(module, hash)))
        return false;
    return elf_dynsym_take(module, name, hash, version, want, out);
}

/* aarch64 gives resolvers the processor's features so; elsewhere the arguments are not looked at. */
struct elf_ifunc_argument {
    unsigned long size, hwcap, hwcap2;
};

void *elf_symbol_address(const struct elf_symbol *symbol)
{
    void *(*resolve)(unsigned long, const struct elf_ifunc_argument *) = (void *)symbol->value;
    struct elf_ifunc_argument argument = {.size = sizeof argument};

    if (!symbol->is_ifunc)
        return (void *)symbol->value;
    argument.hwcap = auxv_get(AT_HWCAP);
    argument.hwcap2 = auxv_get(AT_HWCAP2);
    return resolve(argument.hwcap | 1ul << 62, &argument);
}

void *elf_dynsym(const struct elf_module *module, const char *name)
{
    return elf_dynsym_hashed(module, name, elf_name_hash(name));
}

void *elf_dynsym_hashed(const struct elf_module *module, const char *name, uint32_t hash)
{
    struct elf_symbol symbol;

    if (!elf_dynsym_find_hashed(module, name, hash, NULL, ELF_FUNC | ELF_OBJECT | ELF_NOTYPE,
                                &symbol))
        return NULL;
    return elf_symbol_address(&symbol);
}

/* The loader knows no number of symbols: the hash tables tell, the GNU one by its last chain. */
static size_t elf_dynsym_count(const struct elf_module *m)
{
    const uint32_t *header = m->gnu_hash, *buckets, *chain;
    size_t last = 0, bucket_count, bloom_count;

    if (m->sysv_hash)
        return m->sysv_hash[1];
    if (!header)
        return 0;
    bucket_count = header[0];
    bloom_count = header[2];
    if (bloom_count * sizeof(ElfW(Addr)) + bucket_count * 4 > m->hi - (uintptr_t)(header + 4))
        return 0;
    buckets = header + 4 + bloom_count * (sizeof(ElfW(Addr)) / 4);
    chain = buckets + bucket_count;
    for (size_t i = 0; i < bucket_count; i++)
        last = buckets[i] > last ? buckets[i] : last;
    if (last < header[1])
        return header[1];
    while ((uintptr_t)(chain + (last - header[1]) + 1) <= m->hi && !(chain[last - header[1]] & 1))
        last++;
    return last + 1;
}

struct elf_table elf_module_table(const struct elf_module *module)
{
    struct elf_table table = {
        .sym = module->dynsym, .str = module->dynstr, .str_len = module->dynstr_len};

    if (!module->dynsym)
        return (struct elf_table){0};
    table.count = elf_dynsym_count(module);
    if (table.count > (module->hi - (uintptr_t)module->dynsym) / sizeof *table.sym)
        table.count = 0;
    return table;
}

bool elf_dynsym_imports(const struct elf_module *module, const char *name)
{
    struct elf_table table = elf_module_table(module);

    for (size_t i = 1; i < table.count; i++) {
        const elf_sym *symbol = &table.sym[i];

        if (symbol->st_shndx == SHN_UNDEF && symbol->st_name < table.str_len &&
            strcmp(table.str + symbol->st_name, name) == 0)
            return true;
    }
    return false;
}
