/*
 * What a program's or library's file tells the loader: the libraries that it needs, the versions that it needs
 * of them and defines itself. Read where the file says that they are, a few pages of it, however large it is.
 *
 * Rule: the file may be anything. Each place that it names is checked to lie in the file, each walk ends.
 */
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli.h"
#include "dynamic.h"

enum { HEADERS_MAX = 64, TAGS_MAX = 4096, VERSIONS_MAX = 1024 };

/* Copies SIZE bytes at OFFSET of the file. */
static bool take(const struct dynamic *file, uint64_t offset, void *out, size_t size)
{
    if (offset > file->len || size > file->len - offset)
        return false;
    memcpy(out, file->bytes + offset, size);
    return true;
}

/* The Nth program header; false: there is none. */
static bool header_at(const struct dynamic *file, unsigned n, ElfW(Phdr) * out)
{
    ElfW(Ehdr) header;

    return take(file, 0, &header, sizeof header) && n < header.e_phnum && n < HEADERS_MAX &&
           header.e_phentsize == sizeof *out && header.e_phoff <= file->len &&
           take(file, header.e_phoff + n * sizeof *out, out, sizeof *out);
}

/* Where the bytes of an address are in the file; its length when they are nowhere. */
static uint64_t offset_of(const struct dynamic *file, uint64_t address)
{
    ElfW(Phdr) segment;

    for (unsigned i = 0; header_at(file, i, &segment); i++) {
        if (segment.p_type == PT_LOAD && address >= segment.p_vaddr &&
            address - segment.p_vaddr < segment.p_filesz && segment.p_offset <= file->len)
            return segment.p_offset + (address - segment.p_vaddr);
    }
    return file->len;
}

/* The value of the Nth entry with TAG of the dynamic section. */
static bool tag_find(const struct dynamic *file, int64_t tag, unsigned n, uint64_t *value)
{
    for (unsigned i = 0; i < TAGS_MAX; i++) {
        ElfW(Dyn) entry;

        if (!take(file, file->dynamic + i * sizeof entry, &entry, sizeof entry) ||
            entry.d_tag == DT_NULL)
            return false;
        if (entry.d_tag == tag && !n--) {
            *value = entry.d_un.d_val;
            return true;
        }
    }
    return false;
}

/* A text of the string table; NULL: it is not in the file, or does not end there. */
static const char *text_at(const struct dynamic *file, uint64_t offset)
{
    if (offset > file->len || file->strings >= file->len - offset ||
        !memchr(file->bytes + file->strings + offset, '\0',
                file->len - (size_t)(file->strings + offset)))
        return NULL;
    return file->bytes + file->strings + offset;
}

bool dynamic_open(const char *path, struct dynamic *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat status;
    ElfW(Phdr) segment;
    void *map = MAP_FAILED;
    uint64_t strings;

    memset(out, 0, sizeof *out);
    if (fd < 0)
        return false;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) &&
        status.st_size > (off_t)sizeof(ElfW(Ehdr))) {
        out->len = (size_t)status.st_size;
        map = mmap(NULL, out->len, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    close(fd);
    if (map == MAP_FAILED)
        return false;
    out->bytes = map;
    out->dynamic = out->strings = out->len;
    if (!memcmp(out->bytes, ELFMAG, SELFMAG)) {
        for (unsigned i = 0; header_at(out, i, &segment); i++) {
            if (segment.p_type == PT_DYNAMIC)
                out->dynamic = segment.p_offset;
        }
    }
    if (tag_find(out, DT_STRTAB, 0, &strings)) {
        out->strings = offset_of(out, strings);
        return true;
    }
    dynamic_close(out);
    return false;
}

void dynamic_close(struct dynamic *file)
{
    if (file->bytes)
        munmap((void *)(uintptr_t)file->bytes, file->len);
    file->bytes = NULL;
}

const char *dynamic_needed(const struct dynamic *file, unsigned n)
{
    uint64_t name;

    return tag_find(file, DT_NEEDED, n, &name) ? text_at(file, name) : NULL;
}

/* The versions that FILE needs of LIBRARY, from *entry on: an entry of a library has a list of them. */
static bool needs_next(const struct dynamic *file, const char *library, uint64_t *at,
                       ElfW(Verneed) * entry)
{
    for (unsigned i = 0; i < VERSIONS_MAX && take(file, *at, entry, sizeof *entry); i++) {
        const char *name = text_at(file, entry->vn_file);

        if (name && !strcmp(name, library))
            return true;
        if (!entry->vn_next)
            return false;
        *at += entry->vn_next;
    }
    return false;
}

bool dynamic_defines(const struct dynamic *file, const char *version)
{
    ElfW(Verdef) entry;
    ElfW(Verdaux) first;
    uint64_t address, at;

    if (!tag_find(file, DT_VERDEF, 0, &address))
        return false;
    at = offset_of(file, address);
    for (unsigned i = 0; i < VERSIONS_MAX && take(file, at, &entry, sizeof entry); i++) {
        const char *name = take(file, at + entry.vd_aux, &first, sizeof first)
                               ? text_at(file, first.vda_name)
                               : NULL;

        if (name && !strcmp(name, version))
            return true;
        if (!entry.vd_next)
            return false;
        at += entry.vd_next;
    }
    return false;
}

const char *dynamic_lacks(const struct dynamic *file, const char *library,
                          const struct dynamic *there)
{
    uint64_t address, at;
    ElfW(Verneed) entry;
    ElfW(Vernaux) version;

    if (!tag_find(file, DT_VERNEED, 0, &address))
        return NULL;
    at = offset_of(file, address);
    if (!needs_next(file, library, &at, &entry))
        return NULL;
    at += entry.vn_aux;
    for (unsigned i = 0; i < VERSIONS_MAX && take(file, at, &version, sizeof version); i++) {
        const char *name = text_at(file, version.vna_name);

        if (name && !(version.vna_flags & VER_FLG_WEAK) && !dynamic_defines(there, name))
            return name;
        if (!version.vna_next)
            return NULL;
        at += version.vna_next;
    }
    return NULL;
}
