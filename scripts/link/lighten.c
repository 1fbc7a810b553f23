/*
 * Takes out of the loader's sight what libbaton.so can do for itself, later or not at all.
 *
 *     link-lighten LIBRARY
 *
 * A program that carries nothing runs next to nothing of the library, and should not pay for the rest.
 * - The loader would adjust every pointer in the library's tables: the relative relocations move out of the part
 *   of the table that it is told of. Where and how many they are is written into the library (struct deferred_list),
 *   which applies them when it needs them (interpose/deferred.c). Those of
 *   constructors, of destructors and of what each thread gets a copy of stay: the loader reads these.
 * - Of the offsets of thread-local variables the loader is left one to find: the library works out the others from it.
 * - It would compare each version of the C library that a function of it is said to have. One is left, the
 *   newest: where that is, all are. The others' functions are found by their names alone, which leads to the oldest
 *   that the C library has of one; scripts/check-layers sees to it that they have one only.
 * - The loader itself need not be named as a library: it is there.
 *
 * The section headers keep saying where all of it lies, so readelf shows it.
 * Status 1, with the file as it was: it has not the form that this knows.
 */
#include <elf.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interpose/deferred.h"

static unsigned char *file;
static size_t size;

static _Noreturn void give_up(const char *name, const char *why)
{
    fprintf(stderr, "link-lighten: %s: %s; left as it is\n", name, why);
    exit(1);
}

static void read_file(const char *name)
{
    FILE *in = fopen(name, "rb");
    long end;

    if (!in || fseek(in, 0, SEEK_END) || (end = ftell(in)) < (long)sizeof(Elf64_Ehdr))
        give_up(name, "it cannot be read");
    size = (size_t)end;
    file = malloc(size);
    rewind(in);
    if (!file || fread(file, 1, size, in) != size)
        give_up(name, "it cannot be read");
    fclose(in);
}

/* Where in the file an address of the library lies; NULL: nowhere. */
static void *at(uint64_t address, uint64_t length)
{
    const Elf64_Ehdr *header = (const void *)file;
    const Elf64_Phdr *segments = (const void *)(file + header->e_phoff);

    for (unsigned i = 0; i < header->e_phnum; i++) {
        const Elf64_Phdr *s = &segments[i];

        if (s->p_type == PT_LOAD && address >= s->p_vaddr && length <= s->p_filesz &&
            address - s->p_vaddr <= s->p_filesz - length && s->p_offset <= size - s->p_filesz)
            return file + s->p_offset + (address - s->p_vaddr);
    }
    return NULL;
}

static Elf64_Dyn *dynamic(const char *name, size_t *count)
{
    const Elf64_Ehdr *header = (const void *)file;
    const Elf64_Phdr *segments = (const void *)(file + header->e_phoff);

    if (memcmp(header->e_ident, ELFMAG, SELFMAG) || header->e_ident[EI_CLASS] != ELFCLASS64 ||
        header->e_phoff > size - header->e_phnum * sizeof *segments)
        give_up(name, "no 64-bit ELF file");
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type != PT_DYNAMIC)
            continue;
        *count = segments[i].p_filesz / sizeof(Elf64_Dyn);
        return at(segments[i].p_vaddr, segments[i].p_filesz);
    }
    return NULL;
}

static Elf64_Dyn *find(Elf64_Dyn *entries, size_t count, int64_t tag)
{
    for (size_t i = 0; i < count; i++) {
        if (entries[i].d_tag == tag)
            return &entries[i];
    }
    return NULL;
}

/* Is it one of the pointers that the loader calls, or that each thread gets a copy of? */
static int is_read_early(Elf64_Dyn *entries, size_t count, uint64_t address)
{
    const Elf64_Ehdr *header = (const void *)file;
    const Elf64_Phdr *segments = (const void *)(file + header->e_phoff);
    static const int64_t tags[][2] = {{DT_INIT_ARRAY, DT_INIT_ARRAYSZ},
                                      {DT_FINI_ARRAY, DT_FINI_ARRAYSZ}};

    for (unsigned i = 0; i < 2; i++) {
        const Elf64_Dyn *start = find(entries, count, tags[i][0]),
                        *length = find(entries, count, tags[i][1]);

        if (start && length && address - start->d_un.d_ptr < length->d_un.d_val)
            return 1;
    }
    for (unsigned i = 0; i < header->e_phnum; i++) {
        if (segments[i].p_type == PT_TLS && address - segments[i].p_vaddr < segments[i].p_filesz)
            return 1;
    }
    return 0;
}

/* Where the library keeps what has been put out of sight. */
static struct deferred_list *list_of(const char *name)
{
    const Elf64_Ehdr *header = (const void *)file;
    const Elf64_Shdr *sections = (const void *)(file + header->e_shoff), *names;

    if (!header->e_shoff || header->e_shoff > size - header->e_shnum * sizeof *sections ||
        header->e_shstrndx >= header->e_shnum)
        give_up(name, "it has no sections");
    names = &sections[header->e_shstrndx];
    for (unsigned i = 0; i < header->e_shnum; i++) {
        if (sections[i].sh_name < names->sh_size && names->sh_offset + names->sh_size <= size &&
            !strcmp((const char *)file + names->sh_offset + sections[i].sh_name,
                    DEFERRED_SECTION) &&
            sections[i].sh_size == sizeof(struct deferred_list))
            return at(sections[i].sh_addr, sizeof(struct deferred_list));
    }
    return NULL;
}

/* The offset of a variable of the library's own: no symbol says whose. */
static int is_own_thread_offset(const Elf64_Rela *r)
{
    const Elf64_Ehdr *header = (const void *)file;

    return r->r_info == (header->e_machine == EM_X86_64    ? R_X86_64_TPOFF64
                         : header->e_machine == EM_AARCH64 ? R_AARCH64_TLS_TPREL
                                                           : 0) &&
           r->r_info;
}

static void defer(const char *name, Elf64_Dyn *entries, size_t count)
{
    Elf64_Dyn *rela = find(entries, count, DT_RELA), *length = find(entries, count, DT_RELASZ),
              *relative = find(entries, count, DT_RELACOUNT);
    struct deferred_list *list = list_of(name);
    Elf64_Rela *table, *sorted, *next;
    size_t all, total;

    if (!rela || !length || !relative || !list)
        give_up(name, "its dynamic section is not as expected");
    all = relative->d_un.d_val;
    total = length->d_un.d_val / sizeof *table;
    table = at(rela->d_un.d_ptr, length->d_un.d_val);
    next = sorted = calloc(total + 1, sizeof *sorted);
    if (!table || !sorted || all > total || rela->d_un.d_ptr > UINT32_MAX)
        give_up(name, "its relocations are not as expected");
    list->at = (uint32_t)rela->d_un.d_ptr;
    for (size_t i = 0; i < all; i++) {
        if (!is_read_early(entries, count, table[i].r_offset))
            *next++ = table[i];
    }
    list->relative = (uint32_t)(next - sorted);
    /* What each is to be, but for where the library will lie: then one addition puts it right. */
    for (size_t i = 0; i < list->relative; i++) {
        void *place = at(sorted[i].r_offset, sizeof(uint64_t));

        if (!place)
            give_up(name, "a pointer of it lies nowhere in the file");
        memcpy(place, &sorted[i].r_addend, sizeof(uint64_t));
    }
    for (size_t i = all; i < total; i++) {
        if (!is_own_thread_offset(&table[i]))
            continue;
        if (list->thread_known)
            *next++ = table[i];
        list->thread_known = list->thread_known ? list->thread_known : (uint32_t)table[i].r_offset;
    }
    list->thread = (uint32_t)(next - sorted) - list->relative;
    for (size_t i = 0; i < all; i++) {
        if (is_read_early(entries, count, table[i].r_offset))
            *next++ = table[i];
    }
    for (size_t i = all; i < total; i++) {
        int is_own = is_own_thread_offset(&table[i]);

        if (is_own && table[i].r_offset == list->thread_known)
            list->thread_known_adds = (uint32_t)table[i].r_addend;
        if (!is_own || table[i].r_offset == list->thread_known)
            *next++ = table[i];
    }
    memcpy(table, sorted, total * sizeof *sorted);
    free(sorted);
    rela->d_un.d_ptr += (list->relative + list->thread) * sizeof *table;
    length->d_un.d_val -= (list->relative + list->thread) * sizeof *table;
    relative->d_un.d_val -= list->relative;
}

static const char *text(const char *name, Elf64_Dyn *entries, size_t count, uint64_t offset)
{
    Elf64_Dyn *strings = find(entries, count, DT_STRTAB), *length = find(entries, count, DT_STRSZ);
    const char *start = strings && length ? at(strings->d_un.d_ptr, length->d_un.d_val) : NULL;

    if (!start || offset >= length->d_un.d_val || start[length->d_un.d_val - 1])
        give_up(name, "its table of names is not as expected");
    return start + offset;
}

/* GLIBC_2.3.4 as a number that can be compared; 0: another name. */
static unsigned version_number(const char *version)
{
    unsigned parts[3] = {0, 0, 0};

    if (sscanf(version, "GLIBC_%u.%u.%u", &parts[0], &parts[1], &parts[2]) < 2)
        return 0;
    return parts[0] << 16 | parts[1] << 8 | parts[2];
}

/* What follows `record`, `by` bytes on, when it lies in the file. */
static void *further(const char *name, void *record, uint32_t by, size_t length)
{
    unsigned char *there = (unsigned char *)record + by;

    if (there < file || there + length > file + size)
        give_up(name, "its versions are not as expected");
    return there;
}

static void leave_one_version(const char *name, Elf64_Dyn *entries, size_t count)
{
    Elf64_Dyn *needs = find(entries, count, DT_VERNEED),
              *number = find(entries, count, DT_VERNEEDNUM),
              *of_symbols = find(entries, count, DT_VERSYM),
              *hash = find(entries, count, DT_GNU_HASH);
    Elf64_Verneed *need, *first, *libc = NULL;
    Elf64_Vernaux *newest = NULL;
    const uint32_t *header;
    Elf64_Half *versions;

    if (!needs || !number || !of_symbols || !hash)
        return;
    need = first = at(needs->d_un.d_ptr, sizeof *need);
    for (uint64_t i = 0; i < number->d_un.d_val; i++) {
        Elf64_Vernaux *version;
        int is_libc;

        if (!need)
            give_up(name, "its versions are not as expected");
        version = further(name, need, need->vn_aux, sizeof *version);
        is_libc = !strncmp(text(name, entries, count, need->vn_file), "libc.so.", 8);
        for (unsigned j = 0; j < need->vn_cnt; j++) {
            unsigned this = version_number(text(name, entries, count, version->vna_name));
            unsigned best = newest ? version_number(text(name, entries, count, newest->vna_name))
                                   : 0;

            if (!this)
                give_up(name, "it needs a version that is not of the C library");
            /* On some machines the loader's is the same. */
            if (this > best || (this == best && is_libc)) {
                newest = version;
                libc = need;
            }
            version = further(name, version, version->vna_next, sizeof *version);
        }
        need = further(name, need, need->vn_next, sizeof *need);
    }
    if (!libc || strncmp(text(name, entries, count, libc->vn_file), "libc.so.", 8))
        give_up(name, "its newest version is not of the C library");

    header = at(hash->d_un.d_ptr, 4 * sizeof *header);
    versions = header ? at(of_symbols->d_un.d_ptr, header[1] * sizeof *versions) : NULL;
    if (!versions)
        give_up(name, "its versions are not as expected");
    /* Up to there stand those that others define. */
    for (uint32_t i = 0; i < header[1]; i++) {
        if (versions[i] > VER_NDX_GLOBAL && versions[i] != newest->vna_other)
            versions[i] = VER_NDX_GLOBAL;
    }
    needs->d_un.d_ptr += (uint64_t)((unsigned char *)libc - (unsigned char *)first);
    number->d_un.d_val = 1;
    libc->vn_next = 0;
    libc->vn_cnt = 1;
    libc->vn_aux = (uint32_t)((unsigned char *)newest - (unsigned char *)libc);
    newest->vna_next = 0;
}

static void leave_out_loader(const char *name, Elf64_Dyn *entries, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        if (entries[i].d_tag != DT_NEEDED ||
            strncmp(text(name, entries, count, entries[i].d_un.d_val), "ld-linux", 8) != 0)
            entries[kept++] = entries[i];
    }
    memset(entries + kept, 0, (count - kept) * sizeof *entries); /* DT_NULL */
}

int main(int argc, char **argv)
{
    Elf64_Dyn *entries;
    size_t count = 0;
    char new_name[4096];
    FILE *out;

    if (argc != 2) {
        fputs("usage: link-lighten LIBRARY\n", stderr);
        return 2;
    }
    read_file(argv[1]);
    entries = dynamic(argv[1], &count);
    if (!entries)
        give_up(argv[1], "it has no dynamic section");
    leave_one_version(argv[1], entries, count);
    leave_out_loader(argv[1], entries, count);
    defer(argv[1], entries, count);
    snprintf(new_name, sizeof new_name, "%s.light", argv[1]);
    out = fopen(new_name, "wb");
    if (!out || fwrite(file, 1, size, out) != size || fclose(out) || chmod(new_name, 0755) ||
        rename(new_name, argv[1])) {
        unlink(new_name);
        give_up(argv[1], "it cannot be written");
    }
    return 0;
}
