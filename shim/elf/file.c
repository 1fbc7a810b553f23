/* Opening and checking ELF files.
 *
 * Promise: any bytes at all are read without leaving the mapping; what does not hold together is
 * treated as not there. Every offset and size out of a file goes through elf_file_range. A file
 * that is cut short by somebody while it is mapped would end any reader; that much is trusted of
 * the files that the program itself runs from.
 */
#include "elf/file.h"

#include <string.h>

#include "base/log.h"
#include "base/sandbox.h"
#include "base/sys.h"

const char *elf_debug_root = "/usr/lib/debug";

static const void *elf_file_range(const struct elf_file *f, uint64_t offset, uint64_t len)
{
    if (offset < f->at || offset - f->at > f->len || len > f->len - (offset - f->at))
        return NULL;
    return f->data + (offset - f->at);
}

static bool elf_file_section(const struct elf_file *f, const elf_ehdr *header, size_t index,
                             elf_shdr *out)
{
    const void *at;

    if (!header->e_shoff || header->e_shoff > SIZE_MAX / 2 || index > SIZE_MAX / 4 / sizeof *out ||
        header->e_shentsize != sizeof *out)
        return false;
    at = elf_file_range(f, header->e_shoff + index * sizeof *out, sizeof *out);
    if (!at)
        return false;
    memcpy(out, at, sizeof *out);
    return true;
}

static void elf_file_take_table(const struct elf_file *f, const elf_ehdr *header,
                                const elf_shdr *section, struct elf_table *out)
{
    struct elf_table table;
    elf_shdr names;
    const char *end;

    if (section->sh_type == SHT_NOBITS || section->sh_entsize != sizeof *table.sym ||
        !elf_file_section(f, header, section->sh_link, &names) || names.sh_type != SHT_STRTAB)
        return;
    table.sym = elf_file_range(f, section->sh_offset, section->sh_size);
    table.count = section->sh_size / sizeof *table.sym;
    table.str = elf_file_range(f, names.sh_offset, names.sh_size);
    if (!table.sym || !table.str)
        return;
    /* Names behind the last terminator do not exist: what is left is always terminated. */
    end = memrchr(table.str, '\0', names.sh_size);
    table.str_len = end ? (size_t)(end - table.str) + 1 : 0;
    if (table.count && table.str_len)
        *out = table;
}

static void elf_file_take_debug_link(struct elf_file *f, const char *data, size_t len)
{
    const char *end = data, *limit = data + len;
    size_t name_len, crc_at;

    while (end < limit && *end && *end != '/')
        end++;
    name_len = (size_t)(end - data);
    crc_at = (name_len + 4) & ~(size_t)3;
    if (!name_len || crc_at > len || len - crc_at < 4 || *end)
        return;
    f->debug_link = data;
    memcpy(&f->debug_link_crc, data + crc_at, 4);
}

/* The names of sections; NULL: there are none. */
struct elf_names_of_sections {
    const char *text;
    size_t len;
};

static void elf_file_take_section(struct elf_file *f, const elf_ehdr *header,
                                  const elf_shdr *section,
                                  const struct elf_names_of_sections *names)
{
    static const char link_name[] = ".gnu_debuglink";
    enum { ENOUGH = 256 }; /* no linker writes as many, and each may name the whole file */
    const char *data;

    if ((section->sh_type == SHT_SYMTAB || section->sh_type == SHT_DYNSYM ||
         section->sh_type == SHT_NOTE) &&
        f->looked_at++ >= ENOUGH)
        return;
    switch (section->sh_type) {
    case SHT_SYMTAB:
        f->has_symtab = true;
        elf_file_take_table(f, header, section, &f->symtab);
        break;
    case SHT_DYNSYM:
        elf_file_take_table(f, header, section, &f->dynsym);
        break;
    case SHT_NOTE:
        if (!f->build_id && (data = elf_file_range(f, section->sh_offset, section->sh_size)))
            f->build_id = elf_note_build_id(data, section->sh_size, &f->build_id_len);
        break;
    case SHT_PROGBITS:
        if (names->len < sizeof link_name || section->sh_name > names->len - sizeof link_name)
            break;
        if (memcmp(names->text + section->sh_name, link_name, sizeof link_name) == 0 &&
            (data = elf_file_range(f, section->sh_offset, section->sh_size)))
            elf_file_take_debug_link(f, data, section->sh_size);
        break;
    }
}

static bool elf_file_is_native(const elf_ehdr *header)
{
    /* This process is of the machine and class that its files have to be of. */
    static const unsigned char ident[] = {ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3,
                                          sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32};

    return memcmp(header->e_ident, ident, sizeof ident) == 0 &&
           (header->e_type == ET_DYN || header->e_type == ET_EXEC);
}

static void elf_file_take_sections(struct elf_file *f, const elf_ehdr *header)
{
    struct elf_names_of_sections names = {NULL, 0};
    const elf_file_shdr *table;
    elf_shdr section;
    size_t count, names_index;

    /* Many sections: their number and the index of their names stand in section 0. */
    if (!elf_file_section(f, header, 0, &section))
        return;
    count = header->e_shnum ? header->e_shnum : section.sh_size;
    names_index = header->e_shstrndx == SHN_XINDEX ? section.sh_link : header->e_shstrndx;
    if (elf_file_section(f, header, names_index, &section) &&
        (names.text = elf_file_range(f, section.sh_offset, section.sh_size)))
        names.len = section.sh_size;
    if (count > f->len / sizeof section || /* else one look tells of all that they can be read */
        !(table = elf_file_range(f, header->e_shoff, count * sizeof section)))
        table = NULL;
    for (size_t i = 1; i < count; i++) {
        unsigned type;

        if (!table && !elf_file_section(f, header, i, &section))
            break;
        type = table ? table[i].sh_type : section.sh_type;
        if (type != SHT_PROGBITS && type != SHT_SYMTAB && type != SHT_DYNSYM && type != SHT_NOTE)
            continue;
        if (table)
            memcpy(&section, &table[i], sizeof section);
        elf_file_take_section(f, header, &section, &names);
    }
}

bool elf_file_parse(const void *data, size_t len, struct elf_file *out)
{
    elf_ehdr header;

    memset(out, 0, sizeof *out);
    out->data = data;
    out->len = len;
    if (len < sizeof header)
        return false;
    memcpy(&header, data, sizeof header);
    if (!elf_file_is_native(&header))
        return false;
    if (header.e_phentsize == sizeof *out->phdr &&
        (out->phdr =
             elf_file_range(out, header.e_phoff, (uint64_t)header.e_phnum * sizeof *out->phdr)))
        out->phnum = header.e_phnum;
    elf_file_take_sections(out, &header);
    return true;
}

/* -1 too where the program is in a sandbox that forbids it: a name that only files have is not found then. */
static int open_to_read(const char *path)
{
    return sandbox_allows(SANDBOX_READ) ? sys_open(path, O_RDONLY | O_NONBLOCK, 0) : -1;
}

bool elf_file_open(const char *path, struct elf_file *out)
{
    int fd = open_to_read(path);
    void *data = NULL;
    long size = 0;

    if (fd >= 0) {
        size = sys_file_size(fd);
        if (size > 0)
            data = sys_map((size_t)size, fd);
        sys_close(fd);
    }
    if (!data)
        return false;
    if (elf_file_parse(data, (size_t)size, out))
        return true;
    elf_file_close(out);
    return false;
}

void elf_file_close(struct elf_file *file)
{
    if (file->len)
        sys_unmap((void *)file->data, file->len);
    memset(file, 0, sizeof *file);
}

static bool elf_file_has_phdrs(const void *phdrs, size_t count, const struct elf_module *m)
{
    return count == m->phnum && memcmp(phdrs, m->phdr, count * sizeof *m->phdr) == 0;
}

/* Most modules are stripped, and a hundred of them may be asked: two reads tell that there is
 * nothing to map (6 us instead of 22). The program headers stand at the start of the file; section
 * table, section names and .gnu_debuglink at the end. False: it has a .symtab, is another file than
 * the one that was loaded, or is laid out in a way of its own; or a filter was there that lets the loader's calls through:
 * that of glibc 2.31 maps, and reads at no place. */
static __attribute__((noinline)) bool
elf_file_peek_stripped(const char *path, const struct elf_module *m, struct elf_file *out)
{
    int fd = sandbox_was_there() ? -1 : open_to_read(path);
    union {
        unsigned char head[1024], tail[4096]; /* one after the other: see elf_file_open_link */
    } part;
    struct elf_file peek = {.data = part.head};
    elf_ehdr header;
    const void *phdrs;
    bool is_stripped = false;
    long n;

    if (fd >= 0) {
        n = sys_pread(fd, part.head, sizeof part.head, 0);
        peek.len = n > 0 ? (size_t)n : 0;
        memcpy(&header, part.head, sizeof header);
        if (n == sizeof part.head && elf_file_is_native(&header) &&
            header.e_shoff > sizeof part.head && header.e_shoff < SIZE_MAX / 2 &&
            header.e_phentsize == sizeof *m->phdr &&
            (phdrs = elf_file_range(&peek, header.e_phoff,
                                    (uint64_t)header.e_phnum * sizeof *m->phdr)) &&
            elf_file_has_phdrs(phdrs, header.e_phnum, m)) {
            peek.at = header.e_shoff - 1024;
            n = sys_pread(fd, part.tail, sizeof part.tail, peek.at);
            peek.data = part.tail;
            peek.len = n > 0 ? (size_t)n : 0;
            elf_file_take_sections(&peek, &header);
            is_stripped = n > 0 && (size_t)n < sizeof part.tail && !peek.has_symtab;
        }
        sys_close(fd);
    }
    memset(out, 0, sizeof *out);
    if (is_stripped && peek.debug_link && strlen(peek.debug_link) < sizeof out->link_name) {
        strcpy(out->link_name, peek.debug_link);
        out->debug_link = out->link_name;
        out->debug_link_crc = peek.debug_link_crc;
    }
    return is_stripped;
}

static bool elf_file_is_module(const struct elf_file *f, const struct elf_module *m)
{
    size_t id_len;
    const uint8_t *id = elf_module_build_id(m, &id_len);

    if (id && f->build_id)
        return id_len == f->build_id_len && memcmp(id, f->build_id, id_len) == 0;
    return f->phdr && elf_file_has_phdrs(f->phdr, f->phnum, m);
}

bool elf_file_open_module(const struct elf_module *module, struct elf_file *out)
{
    /* Under `ld.so PROGRAM` the first is the loader itself. */
    const char *paths[] = {module->path, module->is_main ? elf_program_path() : NULL};

    memset(out, 0, sizeof *out);
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        if (!paths[i] || !strchr(paths[i], '/'))
            continue;
        if (elf_file_peek_stripped(paths[i], module, out))
            return true;
        if (!elf_file_open(paths[i], out))
            continue;
        if (elf_file_is_module(out, module))
            return true;
        elf_file_close(out);
    }
    return false;
}

static __attribute__((noinline)) uint32_t elf_file_crc(const struct elf_file *f)
{
    uint32_t table[256], crc = 0xffffffff;

    for (uint32_t i = 0; i < 256; i++) {
        table[i] = i;
        for (int bit = 0; bit < 8; bit++)
            table[i] = table[i] >> 1 ^ (table[i] & 1 ? 0xedb88320 : 0);
    }
    for (size_t i = 0; i < f->len; i++)
        crc = table[(crc ^ f->data[i]) & 0xff] ^ crc >> 8;
    return ~crc;
}

static bool file_is_there(const char *path)
{
    long fd;

    if (!sandbox_allows(SANDBOX_READ))
        return false;
    if (!sandbox_was_there())
        return SYS_CALL(faccessat, AT_FDCWD, path, F_OK) == 0;
    fd = SYS_CALL(openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC); /* as the loader does */
    if (fd >= 0)
        sys_close((int)fd);
    return fd >= 0;
}

/* Where nothing of that is installed, which is nearly everywhere, no file of a module need be looked for. */
static bool elf_debug_is_there(void)
{
    static const char *known_root;
    static bool is_there; /* threads that come at the same time write the same */

    if (__atomic_load_n(&known_root, __ATOMIC_ACQUIRE) != elf_debug_root) {
        is_there = file_is_there(elf_debug_root);
        __atomic_store_n(&known_root, elf_debug_root, __ATOMIC_RELEASE);
    }
    return is_there;
}

static __attribute__((noinline)) bool elf_file_open_build_id(const uint8_t *id, size_t id_len,
                                                             struct elf_file *out)
{
    char path[512], *at;
    static const char digits[] = "0123456789abcdef";
    static const char below[] = "/.build-id/";
    size_t n = strlen(elf_debug_root);

    /* No formatting: it is run for every module at every start that looks for a name. */
    if (n > 300)
        return false;
    memcpy(path, elf_debug_root, n);
    memcpy(path + n, below, sizeof below);
    n += sizeof below - 1;
    if (n + 2 * id_len + sizeof "/.debug" > sizeof path)
        return false;
    at = path + n;
    for (size_t i = 0; i < id_len; i++, at += 2) {
        at[0] = digits[id[i] >> 4];
        at[1] = digits[id[i] & 15];
        if (i == 0)
            *(at++ + 2) = '/';
    }
    memcpy(at, ".debug", sizeof ".debug");
    if (!elf_file_open(path, out))
        return false;
    if (out->build_id && out->build_id_len == id_len && memcmp(out->build_id, id, id_len) == 0)
        return true;
    elf_file_close(out);
    return false;
}

/* PATH: the root, the folder of FOLDER_LEN bytes, room behind it. */
static void elf_folder_look(struct elf_folder *last, char *path, size_t root_len, size_t folder_len)
{
    char *folder = path + root_len, *end = folder + folder_len;

    if (last->len == folder_len && memcmp(last->path, folder, folder_len) == 0)
        return;
    last->len = 0;
    if (folder_len > sizeof last->path)
        return;
    memcpy(last->path, folder, folder_len);
    last->len = folder_len;
    memcpy(end, ".debug", sizeof ".debug");
    last->has_own = file_is_there(folder);
    *end = '\0';
    last->has_root = elf_debug_is_there() && file_is_there(path);
}

/* Names are looked for on the smallest stack that a thread may have (16 KiB): no PATH_MAX here, and
 * out of line, so that the frames do not add up. A longer path is one that is not found. */
static __attribute__((noinline)) bool
elf_file_open_link(const struct elf_module *m, const struct elf_file *f, const uint8_t *id,
                   size_t id_len, struct elf_folder *last, struct elf_file *out)
{
    static const char below[] = ".debug/";
    char path[1024], own[1024];
    const char *folder = m->path, *slash;
    size_t root_len, folder_len, link_size;
    long n;

    if (m->is_main && sandbox_allows(SANDBOX_READ) &&
        (n = sys_readlink(m->path, own, sizeof own - 1)) > 0)
        folder = own;
    else
        n = (long)strlen(folder);
    for (slash = folder + n; slash > folder && slash[-1] != '/';)
        slash--;
    folder_len = (size_t)(slash - folder);
    if (!folder_len)
        return false;
    /* One after the other: the root, the folder, the link, which is written anew where the folder has .debug/ behind it. */
    root_len = strlen(elf_debug_root) + 1;
    link_size = strlen(f->debug_link) + 1;
    if (root_len + folder_len + sizeof below - 1 + link_size > sizeof path)
        return false;
    memcpy(path, elf_debug_root, root_len - 1);
    path[root_len - 1] = '/';
    memcpy(path + root_len, folder, folder_len);
    if (last)
        elf_folder_look(last, path, root_len, folder_len);
    for (unsigned i = 0; i < 3; i++) { /* beside it, in .debug/, and below the root of them all */
        char *end = path + root_len + folder_len;

        if (last && last->len ? (i == 1 && !last->has_own) || (i == 2 && !last->has_root)
                              : i == 2 && !elf_debug_is_there())
            continue;
        if (i == 1) {
            memcpy(end, below, sizeof below - 1);
            end += sizeof below - 1;
        }
        memcpy(end, f->debug_link, link_size);
        if (!elf_file_open(i == 2 ? path : path + root_len, out))
            continue;
        if (out->build_id && id
                ? out->build_id_len == id_len && memcmp(out->build_id, id, id_len) == 0
                : elf_file_crc(out) == f->debug_link_crc)
            return true;
        elf_file_close(out);
    }
    return false;
}

bool elf_file_open_debug(const struct elf_module *module, const struct elf_file *file,
                         struct elf_folder *last, struct elf_file *out)
{
    size_t id_len;
    const uint8_t *id = elf_module_build_id(module, &id_len);
    bool is_open;

    memset(out, 0, sizeof *out);
    is_open = id && elf_debug_is_there() && elf_file_open_build_id(id, id_len, out);
    if (!is_open && file->debug_link)
        is_open = elf_file_open_link(module, file, id, id_len, last, out);
    return is_open;
}
