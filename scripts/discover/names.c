/*
 * The functions and thread-local variables of a module. Names come from .symtab, .dynsym, or the debug file
 * by build-id; where functions begin, also without any name, from .eh_frame_hdr, which programs keep when
 * they are stripped, because exceptions need it.
 *
 * Addresses are those of the file; nothing of it is believed without a look at its bounds.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discover.h"
#include "elf/file.h"

static struct names *known[MODULES_MAX];
static unsigned known_count;

static void add_function(struct names *names, const char *name, uintptr_t start, uintptr_t size,
                         bool is_exported, bool is_local)
{
    names->functions = grown(names->functions, names->functions_count, sizeof *names->functions);
    names->functions[names->functions_count++] =
        (struct function){name, start, start + size, is_exported, is_local};
}

static void add_table(struct names *names, const struct elf_table *table, bool is_exported)
{
    struct elf_cursor cursor = {.table = table, .want = ELF_FUNC | ELF_TLS};
    const elf_file_sym *symbol;
    const char *name;

    while ((symbol = elf_cursor_next(&cursor, &name))) {
        if (elf_symbol_kind(symbol->st_info) == ELF_FUNC) {
            add_function(names, allocated(strdup(name)), symbol->st_value, symbol->st_size,
                         is_exported, symbol->st_info >> 4 == STB_LOCAL);
        } else if (symbol->st_value < names->module->elf.tls_size) {
            names->variables =
                grown(names->variables, names->variables_count, sizeof *names->variables);
            names->variables[names->variables_count++] =
                (struct variable){allocated(strdup(name)), symbol->st_value, symbol->st_size};
        }
    }
}

/* A number of .eh_frame_hdr: only the form that all linkers write is known. */
static void add_frames(struct names *names)
{
    const struct elf_module *elf = &names->module->elf;

    for (size_t i = 0; i < elf->phnum; i++) {
        uintptr_t at = elf->base + elf->phdr[i].p_vaddr;
        const unsigned char *header = (const unsigned char *)at;
        uint32_t count, room;

        if (elf->phdr[i].p_type != PT_GNU_EH_FRAME || !elf_module_holds(elf, at, 12) ||
            header[0] != 1 || header[1] != 0x1b || header[2] != 0x03 || header[3] != 0x3b)
            continue;
        memcpy(&count, header + 8, 4);
        room = (uint32_t)(elf_module_room(elf, at + 12) / 8);
        for (uint32_t row = 0; row < count && row < room; row++) {
            int32_t start;

            memcpy(&start, header + 12 + (size_t)row * 8, 4);
            add_function(names, NULL, elf->phdr[i].p_vaddr + (uintptr_t)(intptr_t)start, 0, false,
                         false);
        }
    }
}

static int by_address(const void *one, const void *other)
{
    const struct function *a = one, *b = other;

    if (a->start != b->start)
        return a->start < b->start ? -1 : 1;
    if (!a->name != !b->name) /* with a name first */
        return a->name ? -1 : 1;
    return (int)b->is_exported - (int)a->is_exported;
}

static int by_offset(const void *one, const void *other)
{
    const struct variable *a = one, *b = other;

    return a->offset != b->offset ? (a->offset < b->offset ? -1 : 1) : 0;
}

static bool is_code(const struct elf_module *elf, uintptr_t address)
{
    for (size_t i = 0; i < elf->phnum; i++) {
        const elf_phdr *p = &elf->phdr[i];

        if (p->p_type == PT_LOAD && p->p_flags & PF_X && address >= p->p_vaddr &&
            address - p->p_vaddr < p->p_filesz)
            return true;
    }
    return false;
}

static uintptr_t end_of_code(const struct elf_module *elf, uintptr_t address)
{
    for (size_t i = 0; i < elf->phnum; i++) {
        const elf_phdr *p = &elf->phdr[i];

        if (p->p_type == PT_LOAD && p->p_flags & PF_X && address >= p->p_vaddr &&
            address - p->p_vaddr < p->p_filesz)
            return p->p_vaddr + p->p_filesz;
    }
    return address;
}

/*
 * The program's main function is what its entry hands to the C library as the first argument, named or not:
 * lea main(%rip),%rdi or mov $main,%rdi.
 */
static void add_main(struct names *names)
{
#if defined(__x86_64__)
    const struct elf_module *elf = &names->module->elf;
    const elf_ehdr *header = (const elf_ehdr *)elf->lo;
    const unsigned char *code;

    if (!elf->is_main || !elf_module_holds(elf, elf->lo, sizeof *header) ||
        memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        !elf_module_holds(elf, elf->base + header->e_entry, 64))
        return;
    code = (const unsigned char *)(elf->base + header->e_entry);
    for (unsigned at = 0; at + 7 < 64; at++) {
        int32_t value;

        memcpy(&value, code + at + 3, 4);
        if (!memcmp(code + at, "\x48\x8d\x3d", 3))
            add_function(names, "main", header->e_entry + at + 7 + (uintptr_t)(intptr_t)value, 0,
                         false, false);
        else if (!memcmp(code + at, "\x48\xc7\xc7", 3))
            add_function(names, "main", (uintptr_t)(uint32_t)value, 0, false, false);
        else
            continue;
        return;
    }
#endif
}

/* One of each address; where no size is known a function goes on to the next. */
static void sort_names(struct names *names)
{
    unsigned kept = 0;

    if (names->functions_count)
        qsort(names->functions, names->functions_count, sizeof *names->functions, by_address);
    for (unsigned i = 0; i < names->functions_count; i++) {
        struct function *function = &names->functions[i];

        if (!is_code(&names->module->elf, function->start))
            continue;
        if (kept && names->functions[kept - 1].start == function->start) {
            if (names->functions[kept - 1].end < function->end)
                names->functions[kept - 1].end = function->end;
            names->functions[kept - 1].is_exported |= function->is_exported;
            names->functions[kept - 1].is_local &= function->is_local || !function->name;
            continue;
        }
        names->functions[kept++] = *function;
    }
    names->functions_count = kept;
    for (unsigned i = 0; i < kept; i++) {
        struct function *function = &names->functions[i];
        uintptr_t next = i + 1 < kept ? names->functions[i + 1].start
                                      : end_of_code(&names->module->elf, function->start);

        if (function->end == function->start || function->end > next)
            function->end = next;
    }
    kept = 0;
    if (names->variables_count)
        qsort(names->variables, names->variables_count, sizeof *names->variables, by_offset);
    for (unsigned i = 0; i < names->variables_count; i++) {
        if (!kept || names->variables[kept - 1].offset != names->variables[i].offset)
            names->variables[kept++] = names->variables[i];
    }
    names->variables_count = kept;
}

static const char *short_name(const struct elf_module *elf)
{
    size_t len = strcspn(elf->name, ".");
    char *name = allocated(strndup(elf->name, len));
    char *dash = strrchr(name, '-');

    if (elf->is_main)
        return "main";
    if (dash && dash[1] >= '0' && dash[1] <= '9')
        *dash = '\0';
    return name;
}

struct names *names_of(struct module *module)
{
    struct names *names;
    struct elf_file file;
    struct elf_table exported;
    const uint8_t *id;
    size_t id_len = 0;

    for (unsigned i = 0; i < known_count; i++) {
        if (known[i]->module == module)
            return known[i];
    }
    names = allocated(calloc(1, sizeof *names));
    names->module = module;
    names->shown = short_name(&module->elf);
    exported = elf_module_table(&module->elf);
    add_table(names, &exported, true);
    names->is_stripped = !modules_open_symbols(module, &file);
    if (!names->is_stripped) {
        add_table(names, &file.symtab, false);
        elf_file_close(&file);
    }
    id = elf_module_build_id(&module->elf, &id_len);
    for (size_t i = 0; id && i < id_len && i < 32; i++)
        sprintf(names->build_id + 2 * i, "%02x", id[i]);
    add_frames(names);
    add_main(names);
    sort_names(names);
    known[known_count++] = names;
    return names;
}

struct names *names_of_path(const char *path)
{
    for (unsigned i = 0; i < modules_count; i++) {
        if (!strcmp(modules[i].path, path))
            return names_of(&modules[i]);
    }
    return NULL;
}

const struct function *names_function(const struct names *names, uintptr_t address)
{
    unsigned low = 0, high = names->functions_count;

    while (low < high) {
        unsigned middle = (low + high) / 2;

        if (names->functions[middle].start <= address)
            low = middle + 1;
        else
            high = middle;
    }
    if (!low || address >= names->functions[low - 1].end)
        return NULL;
    return &names->functions[low - 1];
}

const char *names_shown(const struct names *names, const struct function *function)
{
    static char buffers[8][400];
    static unsigned next;
    char *buffer = buffers[next++ % 8];

    if (function->name)
        snprintf(buffer, sizeof buffers[0], "%s", function->name);
    else
        snprintf(buffer, sizeof buffers[0], "%s+0x%zx", names->shown, (size_t)function->start);
    return buffer;
}

const char *names_item(const struct names *names, const struct variable *variable)
{
    static char buffers[8][600];
    static unsigned next;
    char *buffer = buffers[next++ % 8];

    if (!variable->name)
        snprintf(buffer, sizeof buffers[0], "%s+0x%zx:%zu", names->shown, variable->offset,
                 variable->size);
    else if (names->module->elf.is_main)
        snprintf(buffer, sizeof buffers[0], "%s", variable->name);
    else
        snprintf(buffer, sizeof buffers[0], "%s@%s", variable->name, names->shown);
    return buffer;
}

struct data_search {
    uintptr_t address;
    char *buf;
    size_t n;
    bool is_found;
};

static void search_data(const struct elf_table *table, struct data_search *search)
{
    struct elf_cursor cursor = {.table = table, .want = ELF_OBJECT};
    const elf_file_sym *symbol;
    const char *name;

    while (!search->is_found && (symbol = elf_cursor_next(&cursor, &name))) {
        if (symbol->st_value == search->address) {
            snprintf(search->buf, search->n, "%s", name);
            search->is_found = true;
        }
    }
}

bool names_data(struct names *names, uintptr_t address, char *buf, size_t n)
{
    struct data_search search = {address, buf, n, false};
    struct elf_table exported = elf_module_table(&names->module->elf);
    struct elf_file file;

    search_data(&exported, &search);
    if (modules_open_symbols(names->module, &file)) {
        search_data(&file.symtab, &search);
        elf_file_close(&file);
    }
    return search.is_found;
}
