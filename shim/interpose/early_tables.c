/*
 * Names in the modules that came with the program, by the loader's own tables.
 *
 * Rules: those of early.c: no call of another module's function, no thread-local storage, and no table that the
 * loader has not read before.
 */
#include "interpose/early_tables.h"

#include "base/arch.h"

struct tables early_first[EARLY_FIRST], early_more[EARLY_MODULES_MAX - EARLY_FIRST];
ARCH_WRITTEN_EARLY unsigned early_count;

void early_read_tables(const struct link_map *map, struct tables *t)
{
    t->map = map;
    t->symbols = NULL;
    t->strings = NULL;
    t->strings_len = 0;
    t->gnu = t->sysv = NULL;
    if (!map->l_ld)
        return;
    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        const void *pointer;

        if ((uint64_t)d->d_tag - DT_HASH > DT_STRSZ - DT_HASH && d->d_tag != DT_GNU_HASH)
            continue; /* what most are */
        /* Relocated where they lie, but for the kernel's own. */
        pointer = (const void *)(d->d_un.d_ptr < map->l_addr ? d->d_un.d_ptr + map->l_addr
                                                             : d->d_un.d_ptr);
        if (d->d_tag == DT_GNU_HASH)
            t->gnu = pointer;
        else if (d->d_tag == DT_STRTAB)
            t->strings = pointer;
        else if (d->d_tag == DT_SYMTAB)
            t->symbols = pointer;
        else if (d->d_tag == DT_HASH)
            t->sysv = pointer;
        else if (d->d_tag == DT_STRSZ)
            t->strings_len = d->d_un.d_val;
        else
            continue;
        if (t->strings_len && t->gnu && t->symbols && t->strings)
            return; /* the other table is for those that have not this one */
    }
}

size_t early_references_end(const elf_sym *symbols, const char *strings, const uint32_t *gnu,
                            const uint32_t *sysv)
{
    if (!gnu)
        return sysv ? sysv[1] : 0;
    /* One that exports nothing has an empty table, which says nothing: then the names come next. */
    if (gnu[0] == 1 && !((const uint32_t *)((const ElfW(Addr) *)(gnu + 4) + gnu[2]))[0])
        return sysv ? sysv[1]
               : strings > (const char *)symbols
                   ? (size_t)(strings - (const char *)symbols) / sizeof *symbols
                   : 0;
    return gnu[1];
}

uint32_t early_find_defined(const struct tables *t, const char *name, uint32_t hash)
{
    const uint32_t *header = t->gnu, *buckets;
    const ElfW(Addr) * bloom;
    ElfW(Addr) word;
    uint32_t i;
    enum { BITS = 8 * sizeof word };

    if (!t->symbols || !t->strings)
        return 0;
    if (!header) { /* an old library: its chains take the other hash, which nobody has at hand */
        for (i = 1; t->sysv && i < t->sysv[1]; i++) {
            if (t->symbols[i].st_shndx != SHN_UNDEF && name &&
                early_is_same(t->strings + t->symbols[i].st_name, name))
                return i;
        }
        return 0;
    }
    bloom = (const void *)(header + 4);
    word = bloom[hash / BITS & (header[2] - 1)];
    if (!header[0] || !(word >> (hash % BITS) & word >> (hash >> header[3]) % BITS & 1))
        return 0;
    buckets = (const void *)(bloom + header[2]);
    for (i = buckets[hash % header[0]]; i >= header[1]; i++) {
        uint32_t link = buckets[header[0] + i - header[1]];

        if ((link | 1) == (hash | 1) && t->symbols[i].st_shndx != SHN_UNDEF &&
            (!name || early_is_same(t->strings + t->symbols[i].st_name, name)))
            return i;
        if (link & 1)
            break;
    }
    return 0;
}

bool early_is_anybodys(const char *name, uint32_t hash)
{
    for (unsigned i = 0; i < early_count; i++) {
        if (early_find_defined(early_module(i), name, hash))
            return true;
    }
    return false;
}
