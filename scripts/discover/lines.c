/*
 * Where in the source the code at an address is, by the debug information of its file: for baton stacks, which starts
 * this because it needs libdw, and because what a report names may be any file.
 *
 * Promise: only regular files are opened, for reading. Asked on standard input, a line each: the build-id in hex (or
 * "none"), the address in the file in hex, the path; or "name" and a name to be read. Answered in the same order, a line
 * each: FILE:LINE, or the name as the source has it; empty where it is not known. A file with another build-id than
 * asked for is not looked into. Names of a few letters can mean gigabytes: what takes that much, or half a minute, ends
 * without any answer.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "discover.h"
#include "facts.h"

enum { SECONDS = 30, BYTES = 1 << 30, MANGLED_MAX = 1024 };

#ifdef HAVE_LIBDW
#define elf_begin libelf_begin
#include <dwarf.h>
#include <elfutils/libdw.h>
#include <elfutils/libdwelf.h>
#undef elf_begin
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "elf/file.h"

enum { ID_MAX = 64 };

struct source {
    char *path, *id;
    Dwarf *debug; /* NULL: nothing is known */
    struct source *next;
};

static bool has_id(Dwarf *debug, const char *wanted)
{
    const void *bytes;
    ssize_t len = dwelf_elf_gnu_build_id(dwarf_getelf(debug), &bytes);
    char text[2 * ID_MAX + 1] = "";

    for (ssize_t i = 0; i < len && i < ID_MAX; i++)
        snprintf(text + 2 * i, 3, "%02x", ((const unsigned char *)bytes)[i]);
    return !strcmp(wanted, "none") || !strcmp(wanted, text);
}

static Dwarf *open_file(const char *path, const char *id)
{
    struct stat status;
    int fd = stat(path, &status) == 0 && S_ISREG(status.st_mode)
                 ? open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
                 : -1;
    Dwarf *debug = NULL;
    Dwarf_Off next;
    size_t size;

    if (fd >= 0 && fstat(fd, &status) == 0 && S_ISREG(status.st_mode))
        debug = dwarf_begin(fd, DWARF_C_READ);
    if (debug && has_id(debug, id) && dwarf_nextcu(debug, 0, &next, &size, NULL, NULL, NULL) == 0)
        return debug; /* the file stays open with it */
    if (debug)
        dwarf_end(debug);
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* The file that .gnu_debuglink names, in one of the places where debuggers look for it. */
static Dwarf *open_linked(const char *path, const char *id)
{
    const char *slash = strrchr(path, '/');
    struct stat status;
    struct elf_file file;
    Dwarf *debug = NULL;

    if (!slash || stat(path, &status) != 0 || !S_ISREG(status.st_mode) ||
        !elf_file_open(path, &file))
        return NULL;
    if (file.debug_link && !strchr(file.debug_link, '/')) {
        int folder = (int)(slash - path);

        debug = open_file(joined("%.*s/%s", folder, path, file.debug_link), id);
        if (!debug)
            debug = open_file(joined("%.*s/.debug/%s", folder, path, file.debug_link), id);
        if (!debug)
            debug =
                open_file(joined("%s%.*s/%s", elf_debug_root, folder, path, file.debug_link), id);
    }
    elf_file_close(&file);
    return debug;
}

static Dwarf *source_of(const char *path, const char *id)
{
    static struct source *sources;
    struct source *source;

    for (source = sources; source; source = source->next) {
        if (!strcmp(source->path, path) && !strcmp(source->id, id))
            return source->debug;
    }
    source = allocated(calloc(1, sizeof *source));
    *source = (struct source){.path = allocated(strdup(path)), .id = allocated(strdup(id))};
    source->next = sources;
    sources = source;
    source->debug = open_file(path, id);
    if (!source->debug && strlen(id) > 4 && strspn(id, "0123456789abcdef") == strlen(id))
        source->debug =
            open_file(joined("%s/.build-id/%.2s/%s.debug", elf_debug_root, id, id + 2), id);
    if (!source->debug)
        source->debug = open_linked(path, id);
    return source->debug;
}

static void find_line(Dwarf *debug, Dwarf_Addr address)
{
    Dwarf_Off at = 0, next;
    size_t size;

    for (; dwarf_nextcu(debug, at, &next, &size, NULL, NULL, NULL) == 0; at = next) {
        Dwarf_Die unit;
        Dwarf_Line *line;
        const char *file;
        int number;

        if (!dwarf_offdie(debug, at + size, &unit) || dwarf_haspc(&unit, address) != 1)
            continue;
        line = dwarf_getsrc_die(&unit, address);
        file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
        if (file && dwarf_lineno(line, &number) == 0 && number > 0) {
            printf("%.*s:%d", (int)strcspn(file, "\n"), file, number);
            return;
        }
    }
}

static void answer_line(const char *line)
{
    char id[2 * ID_MAX + 1];
    unsigned long long address;
    int path_at = 0;
    Dwarf *debug = NULL;

    if (sscanf(line, "%128s %llx %n", id, &address, &path_at) == 2 && path_at &&
        line[path_at] == '/')
        debug = source_of(line + path_at, id);
    if (debug)
        find_line(debug, address);
}

#else
static void answer_line(const char *line)
{
    (void)line;
}
#endif

int verb_lines(void)
{
    const struct rlimit seconds = {SECONDS, SECONDS}, bytes = {BYTES, BYTES};
    char line[4096 + 256];

    setrlimit(RLIMIT_CPU, &seconds);
    setrlimit(RLIMIT_DATA, &bytes);
    while (fgets(line, sizeof line, stdin)) {
        char *name = NULL;

        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "name ", 5) != 0)
            answer_line(line);
        else if (strlen(line) < MANGLED_MAX && (name = facts_demangled(line + 5)))
            printf("%s", name);
        free(name);
        printf("\n");
    }
    return 0;
}
