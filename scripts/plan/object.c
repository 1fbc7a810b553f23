/*
 * The generated object: a shared library of a few hundred bytes that exports the names in BATON_HOOKS,
 * each a jump through a slot that the loader fills with the address of a thunk. So the loader itself
 * hooks every call by name, from the first constructor on. It carries the plan of the patches too.
 *
 * Its DT_INIT leads into the library, and initfirst puts it before all other constructors: code is
 * patched while there is one thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine.h"
#include "plan.h"

struct image {
    unsigned char *data;
    size_t len, buffer;
};

static size_t add(struct image *image, const void *bytes, size_t len, size_t align)
{
    size_t at = (image->len + align - 1) & ~(align - 1);

    if (at + len > image->buffer) {
        fprintf(stderr, "baton: too many hooks for one object\n");
        exit(1);
    }
    if (bytes)
        memcpy(image->data + at, bytes, len);
    image->len = at + len;
    return at;
}

static size_t add_string(struct image *strings, const char *text)
{
    return add(strings, text, strlen(text) + 1, 1);
}

/* The rows, then the patches, then the names. */
size_t plan_data(void *buffer, size_t n, const struct decision *decisions, unsigned rows,
                 unsigned items)
{
    struct image image = {buffer, 0, n};
    struct plan plan = {.magic = PLAN_MAGIC,
                        .items = items,
                        .rows = rows,
                        .program = plan_identity(&modules[0].elf)};
    struct plan_row *written;

    add(&image, NULL, sizeof plan, 8);
    for (unsigned i = 0; i < items; i++)
        plan.settings = plan_hash(plan.settings, decisions[i].spec.item);
    for (unsigned i = 0; i < rows; i++)
        add(&image, &decisions[i].row, sizeof decisions[i].row, 1);
    add(&image, NULL, 0, 8);
    for (unsigned i = 0; i < rows; i++) {
        size_t at;

        if (decisions[i].row.by != HOW_PATCH)
            continue;
        at = add(&image, &decisions[i].patch, sizeof decisions[i].patch, 8);
        ((struct plan_patch *)(void *)(image.data + at))->row = i;
        plan.patches++;
    }
    written = (struct plan_row *)(void *)(image.data + sizeof plan);
    for (unsigned i = 0; i < rows; i++) {
        const char *name = decisions[i].spec.function;

        written[i].name = (uint32_t)add(&image, name, strlen(name) + 1, 1);
        written[i].item = decisions[i].item;
        written[i].is_missing = decisions[i].is_missing;
    }
    add(&image, "", 1, 1);
    plan.size = (uint32_t)image.len;
    memcpy(image.data, &plan, sizeof plan);
    return image.len;
}

size_t object_make(unsigned char *buffer, size_t n, const struct decision *decisions, unsigned rows,
                   unsigned items)
{
    static unsigned char string_buffer[1 << 18];
    struct image image = {buffer, 0, n}, strings = {string_buffer, 0, sizeof string_buffer};
    static ElfW(Sym) symbols[PLAN_ROWS + 3];
    static ElfW(Rela) relocations[PLAN_ROWS + 1];
    unsigned names[PLAN_ROWS], names_count = 0, symbols_count, relocations_count = 0;
    uint32_t hash[2 + 1 + PLAN_ROWS + 3];
    ElfW(Ehdr) header = {.e_type = ET_DYN, .e_machine = OBJECT_MACHINE, .e_version = EV_CURRENT};
    ElfW(Phdr) segments[5] = {0};
    size_t plan_at, plan_size, text_at, symbols_at, strings_at, hash_at, relocations_at, slots_at,
        dynamic_at;
    size_t soname, read_end;

    for (unsigned i = 0; i < rows; i++) {
        if (decisions[i].row.by == HOW_SYMBOL)
            names[names_count++] = i;
    }
    add(&image, NULL, sizeof header + sizeof segments, 1);
    plan_at = add(&image, NULL, 0, 8);
    plan_size = plan_data(image.data + plan_at, n - plan_at, decisions, rows, items);
    add(&image, NULL, plan_size, 1);
    text_at = add(&image, NULL, (names_count + 1) * JUMP_SIZE, JUMP_SIZE);

    add_string(&strings, "");
    soname = add_string(&strings, GENERATED_OBJECT);
    symbols[1].st_name = (uint32_t)add_string(&strings, "baton_named_bank");
    symbols[1].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_NOTYPE);
    symbols[2].st_name = (uint32_t)add_string(&strings, PLAN_SYMBOL);
    symbols[2].st_info = ELF64_ST_INFO(STB_GLOBAL, STT_OBJECT);
    symbols[2].st_shndx = 1;
    symbols[2].st_value = plan_at;
    symbols[2].st_size = plan_size;
    symbols_count = 3;
    for (unsigned i = 0; i < names_count; i++) {
        ElfW(Sym) *symbol = &symbols[symbols_count++];

        symbol->st_name = (uint32_t)add_string(&strings, decisions[names[i]].spec.function);
        symbol->st_info = ELF64_ST_INFO(STB_GLOBAL, STT_FUNC);
        symbol->st_shndx = 1;
        symbol->st_value = text_at + i * JUMP_SIZE;
        symbol->st_size = JUMP_SIZE;
    }
    /* One bucket: there are few names. */
    hash[0] = 1;
    hash[1] = symbols_count;
    hash[2] = symbols_count > 1 ? 1 : 0;
    for (unsigned i = 0; i < symbols_count; i++)
        hash[3 + i] = i && i + 1 < symbols_count ? i + 1 : 0;
    symbols_at = add(&image, symbols, symbols_count * sizeof *symbols, 8);
    strings_at = add(&image, strings.data, strings.len, 1);
    hash_at = add(&image, hash, (3 + symbols_count) * sizeof *hash, 8);
    relocations_at = add(&image, NULL, (names_count + 1) * sizeof *relocations, 8);
    read_end = image.len;
    add(&image, NULL, 0, PAGE);
    slots_at = add(&image, NULL, (names_count + 1) * 8, 8);
    for (unsigned i = 0; i <= names_count; i++) {
        ElfW(Rela) *relocation = &relocations[relocations_count++];
        unsigned thunk = 2 * THUNKS; /* the last one: the way in at start */

        if (i < names_count)
            thunk = names[i] + (spec_wraps(&decisions[names[i]].spec) ? THUNKS : 0);
        relocation->r_offset = slots_at + i * 8;
        relocation->r_info = ELF64_R_INFO(1, OBJECT_RELOCATION);
        relocation->r_addend = thunk * THUNK_SIZE;
        machine_jump(image.data + text_at + i * JUMP_SIZE, text_at + i * JUMP_SIZE,
                     slots_at + i * 8);
    }
    memcpy(image.data + relocations_at, relocations, relocations_count * sizeof *relocations);
    const ElfW(Dyn) dynamic[] = {
        {DT_SONAME, {soname}},
        {DT_HASH, {hash_at}},
        {DT_STRTAB, {strings_at}},
        {DT_SYMTAB, {symbols_at}},
        {DT_STRSZ, {strings.len}},
        {DT_SYMENT, {sizeof *symbols}},
        {DT_RELA, {relocations_at}},
        {DT_RELASZ, {relocations_count * sizeof *relocations}},
        {DT_RELAENT, {sizeof *relocations}},
        {DT_INIT, {text_at + names_count * JUMP_SIZE}},
        {DT_FLAGS, {DF_BIND_NOW}},
        {DT_FLAGS_1, {DF_1_NOW | DF_1_INITFIRST}},
        {DT_NULL, {0}},
    };
    dynamic_at = add(&image, dynamic, sizeof dynamic, 8);

    segments[0] = (ElfW(Phdr)){.p_type = PT_LOAD,
                               .p_flags = PF_R | PF_X,
                               .p_filesz = read_end,
                               .p_memsz = read_end,
                               .p_align = PAGE};
    segments[1] = (ElfW(Phdr)){.p_type = PT_LOAD,
                               .p_flags = PF_R | PF_W,
                               .p_offset = slots_at,
                               .p_vaddr = slots_at,
                               .p_paddr = slots_at,
                               .p_align = PAGE};
    segments[1].p_filesz = image.len - slots_at;
    segments[1].p_memsz = (segments[1].p_filesz + PAGE - 1) &
                          ~(size_t)(PAGE - 1); /* read-only once filled */
    segments[2] = segments[1];
    segments[2].p_type = PT_GNU_RELRO;
    segments[2].p_flags = PF_R;
    segments[3] = (ElfW(Phdr)){.p_type = PT_DYNAMIC,
                               .p_flags = PF_R | PF_W,
                               .p_offset = dynamic_at,
                               .p_vaddr = dynamic_at,
                               .p_paddr = dynamic_at,
                               .p_filesz = sizeof dynamic,
                               .p_memsz = sizeof dynamic,
                               .p_align = 8};
    segments[4] = (ElfW(Phdr)){.p_type = PT_GNU_STACK, .p_flags = PF_R | PF_W, .p_align = 16};
    memcpy(header.e_ident, ELFMAG, SELFMAG);
    header.e_ident[EI_CLASS] = ELFCLASS64;
    header.e_ident[EI_DATA] = ELFDATA2LSB;
    header.e_ident[EI_VERSION] = EV_CURRENT;
    header.e_phoff = sizeof header;
    header.e_ehsize = sizeof header;
    header.e_phentsize = sizeof *segments;
    header.e_phnum = sizeof segments / sizeof *segments;
    header.e_shentsize = sizeof(ElfW(Shdr));
    memcpy(image.data, &header, sizeof header);
    memcpy(image.data + sizeof header, segments, sizeof segments);
    return image.len;
}
