/*
 * Names of addresses, from the files that the trace names: .symtab, else .dynsym, else the debug file of
 * the same build-id. Nothing of a file is run; its bounds are checked.
 */
#include <dlfcn.h>
#include <elf.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "trace.h"

struct symbol {
    uint64_t start, size;
    const char *name;
};

struct file {
    char *path;
    struct symbol *symbols;
    size_t count;
    struct file *next;
};

static const char *demangled(const char *name)
{
    static char *(*demangle)(const char *, char *, size_t *, int *);
    static bool is_looked_for;
    char *text;

    if (!is_looked_for) {
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY);

        is_looked_for = true;
        if (library)
            demangle =
                (char *(*)(const char *, char *, size_t *, int *))dlsym(library, "__cxa_demangle");
    }
    text = demangle && !strncmp(name, "_Z", 2) ? demangle(name, NULL, NULL, NULL) : NULL;
    return text ? text : name;
}

static int by_start(const void *a, const void *b)
{
    const struct symbol *one = a, *other = b;

    if (one->start != other->start)
        return one->start < other->start ? -1 : 1;
    return strcmp(one->name, other->name);
}

/* The symbols of a table; the file stays mapped. */
static void add_symbols(struct file *file, const char *map, size_t size, uint32_t type)
{
    const Elf64_Ehdr *header = (const void *)map;
    const Elf64_Shdr *sections = (const void *)(map + header->e_shoff);

    if (!header->e_shoff || header->e_shoff > size ||
        header->e_shnum > (size - header->e_shoff) / sizeof *sections)
        return;
    for (unsigned i = 0; i < header->e_shnum; i++) {
        const Elf64_Sym *table = (const void *)(map + sections[i].sh_offset);
        size_t count = sections[i].sh_size / sizeof *table;
        const Elf64_Shdr *strings;

        if (sections[i].sh_type != type || sections[i].sh_link >= header->e_shnum ||
            sections[i].sh_offset > size || sections[i].sh_size > size - sections[i].sh_offset)
            continue;
        strings = &sections[sections[i].sh_link];
        if (strings->sh_offset > size || strings->sh_size > size - strings->sh_offset ||
            !strings->sh_size || map[strings->sh_offset + strings->sh_size - 1])
            continue;
        file->symbols =
            allocated(realloc(file->symbols, (file->count + count + 1) * sizeof *file->symbols));
        for (size_t j = 0; j < count; j++) {
            unsigned kind = ELF64_ST_TYPE(table[j].st_info);

            if ((kind != STT_FUNC && kind != STT_GNU_IFUNC) || !table[j].st_value ||
                table[j].st_name >= strings->sh_size)
                continue;
            file->symbols[file->count++] = (struct symbol){
                table[j].st_value, table[j].st_size, map + strings->sh_offset + table[j].st_name};
        }
    }
}

static const char *build_id_path(const char *map, size_t size)
{
    static char path[128];
    const Elf64_Ehdr *header = (const void *)map;
    const Elf64_Phdr *parts = (const void *)(map + header->e_phoff);

    if (header->e_phoff > size || header->e_phnum > (size - header->e_phoff) / sizeof *parts)
        return NULL;
    for (unsigned i = 0; i < header->e_phnum; i++) {
        uint64_t at = parts[i].p_offset, end = at + parts[i].p_filesz;

        while (parts[i].p_type == PT_NOTE && end <= size && at + sizeof(Elf64_Nhdr) <= end) {
            const Elf64_Nhdr *note = (const void *)(map + at);
            const unsigned char *id = (const void *)(map + at + sizeof *note + 4);
            int len;

            if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4 && note->n_descsz >= 8 &&
                note->n_descsz <= 20 && at + sizeof *note + 4 + note->n_descsz <= end) {
                len = snprintf(path, sizeof path, "/usr/lib/debug/.build-id/%02x/", id[0]);
                for (unsigned j = 1; j < note->n_descsz; j++)
                    len += snprintf(path + len, sizeof path - (size_t)len, "%02x", id[j]);
                snprintf(path + len, sizeof path - (size_t)len, ".debug");
                return path;
            }
            at += sizeof *note + ((note->n_namesz + 3) & ~3u) + ((note->n_descsz + 3) & ~3u);
        }
    }
    return NULL;
}

static const char *map_elf(const char *path, size_t *size)
{
    struct stat status;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    void *map = MAP_FAILED;

    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size > (off_t)sizeof(Elf64_Ehdr))
        map = mmap(NULL, *size = (size_t)status.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (fd >= 0)
        close(fd);
    if (map == MAP_FAILED)
        return NULL;
    if (memcmp(map, ELFMAG, SELFMAG) != 0 || ((char *)map)[EI_CLASS] != ELFCLASS64) {
        munmap(map, *size);
        return NULL;
    }
    return map;
}

static const struct file *file_open(const char *path)
{
    static struct file *files;
    struct file *file;
    size_t size = 0, debug_size = 0;
    const char *map, *debug;

    for (file = files; file; file = file->next) {
        if (!strcmp(file->path, path))
            return file;
    }
    file = allocated(calloc(1, sizeof *file));
    file->path = allocated(strdup(path));
    file->next = files;
    files = file;
    map = map_elf(path, &size);
    if (!map)
        return file;
    add_symbols(file, map, size, SHT_SYMTAB);
    if (!file->count) {
        debug = build_id_path(map, size);
        if (debug && (debug = map_elf(debug, &debug_size)))
            add_symbols(file, debug, debug_size, SHT_SYMTAB);
        add_symbols(file, map, size, SHT_DYNSYM);
    }
    qsort(file->symbols, file->count, sizeof *file->symbols, by_start);
    return file;
}

const char *symbol_in_file(const char *path, uint64_t offset, uint64_t *start)
{
    const struct file *file = file_open(path);
    size_t low = 0, high = file->count;

    while (low < high) {
        size_t middle = (low + high) / 2;

        if (file->symbols[middle].start <= offset)
            low = middle + 1;
        else
            high = middle;
    }
    for (size_t tries = 0; low-- > 0 && tries < 4; tries++) {
        const struct symbol *symbol = &file->symbols[low];

        if (offset - symbol->start < symbol->size || (!symbol->size && tries == 0)) {
            *start = symbol->start;
            return demangled(symbol->name);
        }
    }
    return NULL;
}

const char *symbol_of(const struct trace *trace, uint64_t address)
{
    static struct {
        uint64_t address;
        const char *text;
    } known[4096];
    const struct trace_module *modules =
        (const void *)((const char *)trace->header + trace->header->modules_at);
    uint32_t count = atomic_load((_Atomic uint32_t *)(uintptr_t)&trace->header->modules_used);
    unsigned place = (unsigned)(address * 2654435761u >> 8) % 4096;
    const char *name;
    uint64_t start;

    if (known[place].address == address && known[place].text)
        return known[place].text;
    known[place].address = address;
    known[place].text = NULL;
    for (uint32_t i = 0; i < count && i < TRACE_MODULES; i++) {
        const struct trace_module *module = &modules[i];
        const char *slash = strrchr(module->path, '/');

        if (address < module->lo || address >= module->hi)
            continue;
        /* A return address may be the first behind the function that called. */
        name = symbol_in_file(module->path, address - module->base - 1, &start);
        known[place].text =
            name ? joined("%s+0x%llx", name, (unsigned long long)(address - module->base - start))
                 : joined("%s+0x%llx", slash ? slash + 1 : module->path,
                          (unsigned long long)(address - module->base));
        return known[place].text;
    }
    known[place].text = joined("0x%llx", (unsigned long long)address);
    return known[place].text;
}

const char *symbol_line(const char *path, uint64_t offset)
{
    char line[1024] = "", address[32];
    int ends[2], status;
    pid_t child;
    FILE *in;

    snprintf(address, sizeof address, "0x%llx", (unsigned long long)offset);
    if (pipe2(ends, O_CLOEXEC) != 0)
        return NULL;
    child = fork();
    if (child == 0) {
        dup2(ends[1], 1);
        close(2);
        execlp("addr2line", "addr2line", "-s", "-e", path, address, (char *)NULL);
        _exit(EXIT_NOT_FOUND);
    }
    close(ends[1]);
    in = fdopen(ends[0], "r");
    if (in && !fgets(line, sizeof line, in))
        line[0] = '\0';
    if (in)
        fclose(in);
    line[strcspn(line, "\n")] = '\0';
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0 || !line[0] ||
        line[0] == '?')
        return NULL;
    return joined("%s", line);
}
