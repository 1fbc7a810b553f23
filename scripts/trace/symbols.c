/*
 * Names of addresses, from the files that the trace names: .symtab, else .dynsym, else the debug file of
 * the same build-id. Nothing of a file is run; its bounds are checked.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli.h"
#include "elf/file.h"
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

static void add_symbols(struct file *file, const struct elf_table *table)
{
    struct elf_cursor cursor = {.table = table, .want = ELF_FUNC};
    const elf_file_sym *symbol;
    const char *name;

    if (table->count)
        file->symbols =
            allocated(realloc(file->symbols, (file->count + table->count) * sizeof *file->symbols));
    while ((symbol = elf_cursor_next(&cursor, &name))) {
        if (symbol->st_value)
            file->symbols[file->count++] = (struct symbol){symbol->st_value, symbol->st_size, name};
    }
}

/* Of what the build-id says; nobody here looks for one by its name. */
static bool open_debug(const struct elf_file *file, struct elf_file *out)
{
    char path[128];
    int len = 0;

    if (file->build_id_len < 2 || file->build_id_len > 32)
        return false;
    len += sprintf(path, "/usr/lib/debug/.build-id/%02x/", file->build_id[0]);
    for (size_t i = 1; i < file->build_id_len; i++)
        len += sprintf(path + len, "%02x", file->build_id[i]);
    strcpy(path + len, ".debug");
    return elf_file_open(path, out);
}

/* The files stay mapped: names stand in them. */
static const struct file *file_open(const char *path)
{
    static struct file *files;
    struct file *file;
    struct elf_file own, debug;

    for (file = files; file; file = file->next) {
        if (!strcmp(file->path, path))
            return file;
    }
    file = allocated(calloc(1, sizeof *file));
    file->path = allocated(strdup(path));
    file->next = files;
    files = file;
    if (!elf_file_open(path, &own))
        return file;
    add_symbols(file, &own.symtab);
    if (!file->count) {
        if (open_debug(&own, &debug))
            add_symbols(file, &debug.symtab);
        add_symbols(file, &own.dynsym);
    }
    if (file->count)
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
