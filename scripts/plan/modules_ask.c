/*
 * What is asked of a module that was mapped: other names and copies of a function, whether it was made
 * local, what is imported, exported or called directly. A stripped module's symbols come from its
 * debug file, if there is one.
 */
#include <stdio.h>
#include <string.h>

#include "elf/file.h"
#include "machine.h"
#include "plan.h"

/* The module's own table of symbols, or that of its debug file, whichever there is. */
typedef bool visit_table(const struct elf_table *table, void *arg);

static bool visit_symbols(const struct module *module, visit_table *visit, void *arg)
{
    struct elf_file file;
    bool answer = false;

    if (modules_open_symbols(module, &file)) {
        answer = visit(&file.symtab, arg);
        elf_file_close(&file);
    }
    return answer;
}

struct clones {
    const char *name;
    uintptr_t address; /* in the file */
    char *buf;
    size_t n, len;
    unsigned count;
};

static bool collect_clones(const struct elf_table *table, void *arg)
{
    struct clones *clones = arg;
    struct elf_cursor cursor = {.table = table, .want = ELF_FUNC};
    size_t len = strlen(clones->name);
    const elf_file_sym *symbol;
    const char *name;

    while ((symbol = elf_cursor_next(&cursor, &name))) {
        /* The cold part of a function is no entry of its own, and LTO's numbers are no clones. */
        if (strncmp(name, clones->name, len) != 0 || name[len] != '.' ||
            strstr(name + len, ".cold") || !strncmp(name + len, ".lto_priv", 9) ||
            symbol->st_value == clones->address)
            continue;
        clones->count++;
        if (clones->len < clones->n)
            clones->len += (size_t)snprintf(clones->buf + clones->len, clones->n - clones->len,
                                            "%s%s", clones->len ? ", " : "", name);
    }
    return true;
}

unsigned modules_clones(const struct module *module, const char *name, uintptr_t address, char *buf,
                        size_t n)
{
    struct clones clones = {
        .name = name, .address = address ? address - module->elf.base : 0, .buf = buf, .n = n};

    buf[0] = '\0';
    visit_symbols(module, collect_clones, &clones);
    return clones.count;
}

struct twins {
    const char *name;
    uintptr_t address; /* in the file */
    char *buf;
    size_t n;
};

static bool note_twin(const struct elf_table *table, void *arg)
{
    const struct twins *twins = arg;
    struct elf_cursor cursor = {.table = table, .want = ELF_FUNC};
    const elf_file_sym *symbol;
    const char *name;

    while ((symbol = elf_cursor_next(&cursor, &name))) {
        if (symbol->st_value == twins->address && strcmp(name, twins->name) != 0) {
            snprintf(twins->buf, twins->n, "%s", name);
            return true;
        }
    }
    return false;
}

bool modules_twin(const struct module *module, const char *name, uintptr_t address, char *buf,
                  size_t n)
{
    struct twins twins = {name, address - module->elf.base, buf, n};

    return visit_symbols(module, note_twin, &twins);
}

struct linkage {
    const char *name;
    uintptr_t address; /* in the file */
};

/*
 * What the linker made local, because it is hidden or a version script says so, was global to its
 * compiler. gold and lld leave the visibility standing; bfd puts such symbols after a last, nameless
 * file, with its own _DYNAMIC. (Functions that link-time optimisation made static stand elsewhere.)
 */
static bool was_global(const struct elf_table *table, void *arg)
{
    const struct linkage *linkage = arg;
    bool has_function = false, has_dynamic = false;

    for (size_t i = 0; i < table->count; i++) {
        const elf_file_sym *symbol = &table->sym[i];
        const char *name = symbol->st_name < table->str_len ? table->str + symbol->st_name : "";

        if ((symbol->st_info & 15) == STT_FILE)
            has_function = has_dynamic = false;
        has_dynamic |= !strcmp(name, "_DYNAMIC");
        if (symbol->st_value == linkage->address && !strcmp(name, linkage->name)) {
            if (ELF64_ST_VISIBILITY(symbol->st_other) == STV_HIDDEN)
                return true;
            has_function = true;
        }
        if (has_function && has_dynamic)
            return true;
    }
    return false;
}

bool modules_was_global(const struct module *module, const char *name, uintptr_t address)
{
    struct linkage linkage = {name, address - module->elf.base};

    return visit_symbols(module, was_global, &linkage);
}

static bool has_cfi(const struct elf_table *table, void *arg)
{
    struct elf_cursor cursor = {.table = table, .want = ELF_FUNC};
    const char *name;

    while (elf_cursor_next(&cursor, &name)) {
        size_t len = strlen(name);

        if (len > 4 && !strcmp(name + len - 4, ".cfi"))
            return true;
    }
    return false;
}

bool modules_checks_calls(const struct module *module)
{
    return visit_symbols(module, has_cfi, NULL);
}

bool modules_exports(const struct module *module, const char *name)
{
    struct elf_symbol symbol;

    return elf_dynsym_find(&module->elf, name, NULL, ELF_FUNC, &symbol);
}

struct stretch {
    uintptr_t address; /* in the file */
    size_t len;
};

static bool is_free(const struct elf_table *table, void *arg)
{
    struct elf_cursor cursor = {.table = table, .want = ELF_FUNC | ELF_NOTYPE | ELF_OBJECT};
    const struct stretch *stretch = arg;
    const elf_file_sym *symbol;
    const char *name;

    while ((symbol = elf_cursor_next(&cursor, &name))) {
        if (symbol->st_value < stretch->address + stretch->len &&
            symbol->st_value + symbol->st_size > stretch->address && symbol->st_size)
            return false;
        if (symbol->st_value > stretch->address &&
            symbol->st_value < stretch->address + stretch->len)
            return false;
    }
    return true;
}

bool modules_is_free(const struct module *module, uintptr_t address, size_t len)
{
    struct stretch stretch = {address - module->elf.base, len};

    return visit_symbols(module, is_free, &stretch);
}

typedef bool visit_relocation(const struct module *module, const ElfW(Rela) * relocation,
                              void *arg);

static bool visit_relocations(const struct module *module, visit_relocation *visit, void *arg)
{
    const struct elf_module *elf = &module->elf;
    const ElfW(Rela) * tables[2] = {NULL, NULL};
    size_t sizes[2] = {0, 0};

    for (const elf_dyn *entry = elf->dynamic; elf_dynamic_is(elf, entry); entry++) {
        if (entry->d_tag == DT_JMPREL)
            tables[0] = (const ElfW(Rela) *)(elf->base + entry->d_un.d_ptr);
        else if (entry->d_tag == DT_PLTRELSZ)
            sizes[0] = entry->d_un.d_val;
        else if (entry->d_tag == DT_RELA)
            tables[1] = (const ElfW(Rela) *)(elf->base + entry->d_un.d_ptr);
        else if (entry->d_tag == DT_RELASZ)
            sizes[1] = entry->d_un.d_val;
    }
    for (unsigned table = 0; table < 2; table++) {
        uintptr_t start = (uintptr_t)tables[table];

        if (elf_module_room(elf, start) < sizes[table])
            continue;
        for (size_t i = 0; i < sizes[table] / sizeof(ElfW(Rela)); i++) {
            if (visit(module, &tables[table][i], arg))
                return true;
        }
    }
    return false;
}

static bool is_of_name(const struct module *module, const ElfW(Rela) * relocation, void *arg)
{
    const struct elf_module *elf = &module->elf;
    size_t index = ELF64_R_SYM(relocation->r_info);

    return index && elf->dynsym &&
           elf_module_holds(elf, (uintptr_t)&elf->dynsym[index], sizeof *elf->dynsym) &&
           elf->dynsym[index].st_name < elf->dynstr_len &&
           !strcmp(elf->dynstr + elf->dynsym[index].st_name, arg);
}

/* The names that relocations of pointers are for, wherever they are defined. */
bool modules_imports(const struct module *module, const char *name)
{
    return visit_relocations(module, is_of_name, (void *)(uintptr_t)name);
}

static bool is_of_address(const struct module *module, const ElfW(Rela) * relocation, void *arg)
{
    return !ELF64_R_SYM(relocation->r_info) && relocation->r_addend == *(const ElfW(Sxword) *)arg;
}

/* Addresses that need no relocation, or a packed one, stand in the data themselves: in what is written to, and
 * in a program at a fixed address in what is only read; the symbols' own addresses do not count. */
static bool is_in_data(const struct module *module, uintptr_t address)
{
    bool is_fixed = module->elf.lo != module->elf.base;
    uintptr_t symbols = (uintptr_t)module->elf.dynsym, names = (uintptr_t)module->elf.dynstr;

    for (size_t i = 0; i < module->elf.phnum; i++) {
        const elf_phdr *p = &module->elf.phdr[i];
        const uintptr_t *word =
            (const uintptr_t *)((module->elf.base + p->p_vaddr + 7) & ~(uintptr_t)7);
        const uintptr_t *end =
            (const uintptr_t *)(module->elf.base + p->p_vaddr + (p->p_filesz & ~(size_t)7));

        if (p->p_type != PT_LOAD || p->p_flags & PF_X || !(p->p_flags & PF_W || is_fixed))
            continue;
        for (; word < end; word++) {
            if (*word == address && !((uintptr_t)word >= symbols && (uintptr_t)word < names))
                return true;
        }
    }
    return false;
}

bool modules_is_in_table(const struct module *module, uintptr_t address)
{
    ElfW(Sxword) in_file = (ElfW(Sxword))(address - module->elf.base);

    return visit_relocations(module, is_of_address, &in_file) ||
           is_in_data(module, (uintptr_t)in_file);
}

bool modules_calls_directly(const struct module *module, uintptr_t function)
{
    for (size_t i = 0; i < module->elf.phnum; i++) {
        const elf_phdr *p = &module->elf.phdr[i];

        if (p->p_type == PT_LOAD && p->p_flags & PF_X &&
            machine_calls((const unsigned char *)(module->elf.base + p->p_vaddr), p->p_filesz,
                          function))
            return true;
    }
    return false;
}
