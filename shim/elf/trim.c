/* What a file claims to have, held against what it has.
 *
 * Promise: of a module that no loader has checked no table goes on where the file ends. In memory a segment goes on with
 * zeros for as long as the file says, and between two there may be nothing: a table of gigabytes of zeros would be
 * read to its end. Whoever reads a table afterwards need not know of it.
 */
#include "elf/file.h"

size_t elf_module_room(const struct elf_module *m, uintptr_t address)
{
    size_t room = 0;

    for (size_t i = 0; i < m->phnum; i++) {
        const elf_phdr *p = &m->phdr[i];
        uintptr_t offset = address - (m->base + p->p_vaddr);

        if (p->p_type == PT_LOAD && offset < p->p_filesz && p->p_filesz - offset > room)
            room = p->p_filesz - offset;
    }
    return room;
}

/* Buckets say where chains begin, and the last of these where the table ends. */
static bool has_gnu_hash(const struct elf_module *m)
{
    const uint32_t *header = m->gnu_hash, *buckets, *chain;
    size_t room = elf_module_room(m, (uintptr_t)header), fixed, last = 0;

    if (room < 16)
        return false;
    fixed = 16 + (size_t)header[2] * sizeof(ElfW(Addr)) + (size_t)header[0] * sizeof *buckets;
    if (fixed > room)
        return false;
    chain = (const uint32_t *)((uintptr_t)header + fixed);
    buckets = chain - header[0];
    for (size_t i = 0; i < header[0]; i++)
        last = buckets[i] > last ? buckets[i] : last;
    if (last < header[1])
        return true;
    for (size_t i = last - header[1]; i < (room - fixed) / sizeof *chain; i++) {
        if (chain[i] & 1)
            return true;
    }
    return false;
}

static bool has_sysv_hash(const struct elf_module *m)
{
    const uint32_t *table = m->sysv_hash;
    size_t room = elf_module_room(m, (uintptr_t)table) / sizeof *table;

    return room >= 2 && (size_t)table[0] + table[1] <= room - 2;
}

void elf_module_trim(struct elf_module *m)
{
    size_t count;

    if (m->gnu_hash && !has_gnu_hash(m))
        m->gnu_hash = NULL;
    if (m->sysv_hash && !has_sysv_hash(m))
        m->sysv_hash = NULL;
    count = elf_module_table(m).count;
    if (elf_module_room(m, (uintptr_t)m->dynstr) < m->dynstr_len) {
        m->dynsym = NULL;
        m->dynstr_len = 0;
        m->soname = NULL;
    }
    if (m->dynsym && elf_module_room(m, (uintptr_t)m->dynsym) / sizeof *m->dynsym < count)
        m->dynsym = NULL;
    if (m->versym && elf_module_room(m, (uintptr_t)m->versym) / sizeof *m->versym < count)
        m->versym = NULL;
}
