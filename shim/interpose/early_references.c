/*
 * References that lead to nothing without us: what the loader has led to us, though no other module has it,
 * is set back to nothing, so that a program that asks whether a library is there is told the truth.
 *
 * Rules: those of early.c. A page that is read-only by now is so again afterwards.
 */
#include <sys/mman.h>

#include "base/arch.h"
#include "base/sys.h"
#include "interpose/early.h"
#include "interpose/early_tables.h"

/* Read-only by now, if the loader is done with its module: then it is again afterwards. */
static void write_place(const struct link_map *map, ElfW(Addr) * place, ElfW(Addr) value)
{
    const ElfW(Ehdr) *header = (const void *)map->l_addr;
    uintptr_t page = (uintptr_t)header & ~(uintptr_t)4095, from = 0, to = 0;
    unsigned char resident;

    if (!header || SYS_CALL(mincore, page, 1, &resident) != 0 || header->e_ident[1] != 'E')
        return;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        const ElfW(Phdr) *p =
            (const void *)(map->l_addr + header->e_phoff + (size_t)i * sizeof(ElfW(Phdr)));

        if (p->p_type == PT_GNU_RELRO) {
            from = (map->l_addr + p->p_vaddr) & ~(uintptr_t)4095;
            to = (map->l_addr + p->p_vaddr + p->p_memsz) & ~(uintptr_t)4095;
        }
    }
    page = (uintptr_t)place & ~(uintptr_t)4095;
    if (page < from || page >= to) {
        *place = value;
    } else if (SYS_CALL(mprotect, page, 4096, PROT_READ | PROT_WRITE) == 0) {
        *place = value;
        (void)SYS_CALL(mprotect, page, 4096, PROT_READ);
    }
}

/* What has been led to us is led to nothing; what has not been bound yet will not find us. */
static void set_back(const struct tables *t, size_t symbol, ElfW(Addr) export)
{
    const struct link_map *map = t->map;
    const ElfW(Rela) * relocations[2] = {NULL, NULL}; /* data, calls */
    size_t bytes[2] = {0, 0};

    for (const ElfW(Dyn) *d = map->l_ld; d->d_tag != DT_NULL; d++) {
        unsigned part = d->d_tag == DT_JMPREL || d->d_tag == DT_PLTRELSZ;

        if (d->d_tag == DT_RELA || d->d_tag == DT_JMPREL)
            relocations[part] = (const ElfW(Rela) *)d->d_un.d_ptr;
        else if (d->d_tag == DT_RELASZ || d->d_tag == DT_PLTRELSZ)
            bytes[part] = d->d_un.d_val;
    }
    for (unsigned part = 0; part < 2; part++) {
        for (size_t i = 0; i < bytes[part] / sizeof(ElfW(Rela)); i++) {
            const ElfW(Rela) *r = &relocations[part][i];
            ElfW(Addr) *place = (ElfW(Addr) *)(map->l_addr + r->r_offset);

            /* Whatever its kind is, it is written back to what it adds. */
            if (r->r_info >> 32 == symbol && *place == export + (ElfW(Addr))r->r_addend)
                write_place(map, place, (ElfW(Addr))r->r_addend);
        }
    }
}

/* In every module, weak, and no library's that we know: the compiler's own. tests/integration/test_rows.py sees to
 * it that no row of hooks.def begins so. */
static bool is_compilers(const char *name)
{
    return name[0] == '_' &&
           (name[1] == 'I' || (name[1] == '_' && (name[2] == 'c' || name[2] == 'g')));
}

static bool is_weak(const elf_sym *symbol)
{
    return symbol->st_info >> 4 == STB_WEAK;
}

/* Few are weak, or could be ours by their first letter; this loop goes over all, at every start. Where the table
 * says nothing of its length, what follows it is no symbol. */
static __attribute__((noinline)) const elf_sym *
next_candidate(const elf_sym *symbol, const elf_sym *end, const char *strings, size_t strings_len)
{
    enum { STRONG_END = STB_WEAK << 4 }; /* of st_info: weak, and what only GNU has, come behind */

    for (; symbol < end; symbol++) {
        if (symbol->st_info >= STRONG_END ||
            (symbol->st_name < strings_len && strings[symbol->st_name] == 'b'))
            break;
    }
    return symbol;
}

bool early_look_at_references(const struct tables *t, const struct tables *self)
{
    const elf_sym *end;
    const char *strings = t->strings;
    bool uses_api = false;

    if (!t->symbols || !strings)
        return false;
    end = t->symbols + early_references_end(t->symbols, strings, t->gnu, t->sysv);
    for (const elf_sym *symbol = t->symbols;
         (symbol = next_candidate(symbol + 1, end, strings, t->strings_len)) < end;) {
        const char *name = strings + symbol->st_name;
        uint32_t hash, own;

        if (symbol->st_shndx != SHN_UNDEF || symbol->st_name >= t->strings_len)
            continue;
        if (name[0] == 'b' && early_is_same(name, "baton_api"))
            uses_api = true;
        if (!is_weak(symbol) || is_compilers(name))
            continue;
        hash = early_hash(name);
        own = early_find_defined(self, name, hash);
        if (own && early_row(&self->symbols[own]) < HOOK_COUNT && !early_is_anybodys(name, hash))
            set_back(t, (size_t)(symbol - t->symbols),
                     self->map->l_addr + self->symbols[own].st_value);
    }
    return uses_api;
}
