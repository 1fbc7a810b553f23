/* One loaded module, as the loader describes it, put into one struct.
 *
 * Promise: at any time: before libc's constructors, in a plugin's constructor. The loader has checked
 * what it maps, so pointers out of the dynamic section are only held against the module's bounds.
 */
#include "elf/elf.h"

#include <string.h>

#include "elf/file.h"
#include "base/auxv.h"
#include "base/sandbox.h"
#include "base/sys.h"

static const char *elf_base_name(const char *path)
{
    const char *name = path + strlen(path);

    while (name > path && name[-1] != '/')
        name--;
    return name;
}

static char program_path[4096];
static const char *program_started; /* NULL: not known to be its file */
static bool program_is_known;

/* By the system's list of mappings, which is opened and read as libraries are: "LOW-HIGH rights ... PATH". */
static long path_of_mapping(uintptr_t address, char *path, size_t size)
{
    char text[1024];
    uintptr_t ends[2] = {0, 0};
    unsigned word = 0;
    size_t len = 0;
    long got, fd = SYS_CALL(openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC);
    bool is_found = false;

    while (fd >= 0 && !is_found && (got = sys_read((int)fd, text, sizeof text)) > 0) {
        for (const char *c = text; c < text + got && !is_found; c++) {
            if (*c == '\n') {
                is_found = len && address - ends[0] < ends[1] - ends[0];
                len = is_found ? len : 0;
                ends[0] = ends[1] = word = 0;
            } else if (*c == '/' || len) {
                path[len] = *c;
                len += len < size - 1;
            } else if (*c == '-' || *c == ' ') {
                word++;
            } else if (word < 2) {
                ends[word] = ends[word] * 16 + (uintptr_t)(*c <= '9' ? *c - '0' : *c - 'a' + 10);
            }
        }
    }
    if (fd >= 0)
        sys_close((int)fd);
    return is_found ? (long)len : -1;
}

/* The program's own path: the loader gives "" for it. Threads that are there at the same time all write
 * the same. */
void elf_know_program(void)
{
    const char *started = NULL;
    char found[sizeof program_path];
    long n;

    if (__atomic_load_n(&program_is_known, __ATOMIC_ACQUIRE))
        return;
    n = sandbox_was_there() ? path_of_mapping(auxv_get(AT_PHDR), found, sizeof found)
                            : sys_readlink("/proc/self/exe", found, sizeof found - 1);
    found[n > 0 ? n : 0] = '\0';
    /* Under `ld.so PROGRAM` that is the loader. */
    if (n <= 0 || (!strncmp(elf_base_name(found), "ld-", 3) && strstr(found, ".so")))
        started = (const char *)auxv_get(AT_EXECFN); /* the loader has put it right */
    if (started && strlen(started) < sizeof found)
        memcpy(found, started, strlen(started) + 1);
    memcpy(program_path, found, strlen(found) + 1);
    __atomic_store_n(&program_is_known, true, __ATOMIC_RELEASE);
}

const char *elf_program_path(void)
{
    const char *started;

    if (__atomic_load_n(&program_is_known, __ATOMIC_ACQUIRE))
        return program_path;
    started = (const char *)auxv_get(AT_EXECFN); /* too early, or nobody was to be asked */
    return started ? started : "";
}

void elf_know_started(void)
{
    const char *started = (const char *)auxv_get(AT_EXECFN);
    struct stat one, other;

    if (started && !auxv_get(AT_SECURE) && SYS_CALL(newfstatat, AT_FDCWD, started, &one, 0) == 0 &&
        SYS_CALL(newfstatat, AT_FDCWD, "/proc/self/exe", &other, 0) == 0 &&
        one.st_dev == other.st_dev && one.st_ino == other.st_ino)
        program_started = started;
}

const char *elf_program_started(void)
{
    const char *path = elf_program_path();
    bool is_other = program_started &&
                    strcmp(elf_base_name(program_started), elf_base_name(path)) != 0;

    return is_other ? program_started : path;
}

/* An address out of the dynamic section: glibc has added the base already, musl has not, and the
 * vdso's is as in the file. */
static const void *elf_dynamic_pointer(const struct elf_module *m, uintptr_t value, size_t len)
{
    if (!elf_module_holds(m, value, len))
        value += m->base;
    return elf_module_holds(m, value, len) ? (const void *)value : NULL;
}

static void elf_read_dynamic(struct elf_module *m)
{
    const elf_dyn *end = m->dynamic + (m->hi - (uintptr_t)m->dynamic) / sizeof *end;
    const unsigned wanted = 1u << DT_SYMTAB | 1u << DT_STRTAB | 1u << DT_STRSZ | 1u << DT_HASH |
                            1u << DT_SONAME;
    size_t soname = 0;

    for (const elf_dyn *d = m->dynamic; d < end && d->d_tag != DT_NULL; d++) {
        if (d->d_tag != DT_GNU_HASH && d->d_tag != DT_VERSYM &&
            ((uint64_t)d->d_tag > DT_SONAME || !(wanted >> d->d_tag & 1)))
            continue; /* what most are */
        switch (d->d_tag) {
        case DT_SYMTAB:
            m->dynsym = elf_dynamic_pointer(m, d->d_un.d_ptr, sizeof *m->dynsym);
            break;
        case DT_STRTAB:
            m->dynstr = elf_dynamic_pointer(m, d->d_un.d_ptr, 1);
            break;
        case DT_STRSZ:
            m->dynstr_len = d->d_un.d_val;
            break;
        case DT_GNU_HASH:
            m->gnu_hash = elf_dynamic_pointer(m, d->d_un.d_ptr, 16);
            break;
        case DT_HASH:
            m->sysv_hash = elf_dynamic_pointer(m, d->d_un.d_ptr, 8);
            break;
        case DT_VERSYM:
            m->versym = elf_dynamic_pointer(m, d->d_un.d_ptr, sizeof *m->versym);
            break;
        case DT_SONAME:
            soname = d->d_un.d_val;
            break;
        }
    }
    if (!m->dynstr || !elf_module_holds(m, (uintptr_t)m->dynstr, m->dynstr_len) || !m->dynstr_len ||
        m->dynstr[m->dynstr_len - 1] != '\0') {
        m->dynsym = NULL;
        m->dynstr_len = 0;
    }
    if (soname && soname < m->dynstr_len)
        m->soname = m->dynstr + soname;
}

void elf_module_fill(const struct dl_phdr_info *info, bool is_main, struct elf_module *m)
{
    memset(m, 0, sizeof *m);
    m->base = info->dlpi_addr;
    m->phdr = info->dlpi_phdr;
    m->phnum = info->dlpi_phnum;
    m->tls_modid = info->dlpi_tls_modid;
    m->is_main = is_main;
    m->path = is_main ? "/proc/self/exe" : info->dlpi_name;
    m->name = is_main ? elf_base_name(elf_program_path()) : elf_base_name(info->dlpi_name);
    m->lo = UINTPTR_MAX;
    for (size_t i = 0; i < m->phnum; i++) {
        const elf_phdr *p = &m->phdr[i];

        if (p->p_type == PT_LOAD && p->p_memsz) {
            uintptr_t start = m->base + p->p_vaddr, end = start + p->p_memsz;

            m->lo = start < m->lo ? start : m->lo;
            m->hi = end > m->hi ? end : m->hi;
        } else if (p->p_type == PT_TLS) {
            m->tls_size = p->p_memsz;
        } else if (p->p_type == PT_DYNAMIC) {
            m->dynamic = (const elf_dyn *)(m->base + p->p_vaddr);
        }
    }
    if (!elf_module_holds(m, (uintptr_t)m->dynamic, sizeof *m->dynamic))
        m->dynamic = NULL;
    if (m->dynamic)
        elf_read_dynamic(m);
}

bool elf_module_match(const struct elf_module *module, const char *name)
{
    size_t len = strlen(name);

    if (!len)
        return false;
    if (module->is_main && strcmp(name, "main") == 0)
        return true;
    if (strchr(name, '/'))
        return strcmp(name, module->path) == 0;
    return strncmp(module->name, name, len) == 0 &&
           (module->name[len] == '\0' || module->name[len] == '.' || module->name[len] == '-');
}

bool elf_module_needs(const struct elf_module *m, const char *soname)
{
    for (const elf_dyn *d = m->dynamic; elf_dynamic_is(m, d); d++)
        if (d->d_tag == DT_NEEDED && d->d_un.d_val < m->dynstr_len &&
            !strncmp(m->dynstr + d->d_un.d_val, soname, strlen(soname)))
            return true;
    return false;
}

bool elf_module_mentions(const struct elf_module *module, const char *beginning)
{
    struct elf_table table = elf_module_table(module);
    size_t len = strlen(beginning);

    for (size_t i = 1; i < table.count; i++) {
        size_t at = table.sym[i].st_name;

        if (at < table.str_len && !strncmp(table.str + at, beginning, len))
            return true;
    }
    return false;
}

/* No linker writes as many headers of notes, and each may name the same megabyte. */
enum { NOTES_ENOUGH = 16 };

const uint8_t *elf_module_build_id(const struct elf_module *module, size_t *len)
{
    unsigned notes = 0;

    for (size_t i = 0; i < module->phnum; i++) {
        const elf_phdr *p = &module->phdr[i];
        const uint8_t *id;

        if (p->p_type == PT_NOTE && notes++ < NOTES_ENOUGH &&
            elf_module_holds(module, module->base + p->p_vaddr, p->p_filesz) &&
            (id = elf_note_build_id((const void *)(module->base + p->p_vaddr), p->p_filesz, len)))
            return id;
    }
    *len = 0;
    return NULL;
}

bool elf_module_has_code(const struct elf_module *module, uintptr_t address, size_t len)
{
    for (size_t i = 0; i < module->phnum; i++) {
        const elf_phdr *p = &module->phdr[i];
        uintptr_t offset = address - (module->base + p->p_vaddr);

        if (p->p_type == PT_LOAD && p->p_flags & PF_X && len <= p->p_memsz &&
            offset <= p->p_memsz - len)
            return true;
    }
    return false;
}

bool elf_module_is_go(const struct elf_module *module)
{
    enum { GO_BUILD_ID = 4 };
    unsigned notes = 0;
    size_t len;

    for (size_t i = 0; i < module->phnum; i++) {
        const elf_phdr *p = &module->phdr[i];

        if (p->p_type == PT_NOTE && notes++ < NOTES_ENOUGH &&
            elf_module_holds(module, module->base + p->p_vaddr, p->p_filesz) &&
            elf_note((const void *)(module->base + p->p_vaddr), p->p_filesz, "Go", GO_BUILD_ID,
                     &len))
            return true;
    }
    return false;
}

uint64_t elf_module_fingerprint(const struct elf_module *module)
{
    enum { ENOUGH = 1 << 20 }; /* of each segment */
    uint64_t hash = 14695981039346656037u;

    for (size_t i = 0; i < module->phnum; i++) {
        const elf_phdr *p = &module->phdr[i];
        size_t len = p->p_filesz < ENOUGH ? p->p_filesz : ENOUGH;
        const char *bytes = (const char *)(module->base + p->p_vaddr);
        uint64_t word;

        if (p->p_type != PT_LOAD || p->p_flags & PF_W ||
            !elf_module_holds(module, (uintptr_t)bytes, len))
            continue;
        hash = (hash ^ p->p_filesz) * 1099511628211u;
        for (size_t at = 0; at + sizeof word <= len; at += sizeof word) {
            memcpy(&word, bytes + at, sizeof word);
            hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
            hash ^= hash >> 29;
        }
    }
    return hash;
}

/* From the header that the object begins with, where that is readable. */
static void elf_module_of_header(const struct link_map *map, const elf_ehdr *header,
                                 struct elf_module *out)
{
    struct dl_phdr_info info = {.dlpi_addr = map->l_addr, .dlpi_name = map->l_name};

    if (header && memcmp(header->e_ident, ELFMAG, SELFMAG) == 0) {
        info.dlpi_phdr = (const void *)((const char *)header + header->e_phoff);
        info.dlpi_phnum = header->e_phnum;
    }
    elf_module_fill(&info, false, out);
}

/* The C library lies where its map says, so nobody need be asked where its header is. */
void *elf_of_libc(const char *name)
{
    for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next) {
        struct elf_module module;
        struct elf_symbol symbol;

        if (!map->l_prev || !map->l_addr || strncmp(elf_base_name(map->l_name), "libc.so.", 8) != 0)
            continue;
        elf_module_of_header(map, (const elf_ehdr *)map->l_addr, &module);
        return elf_dynsym_find(&module, name, NULL, ELF_FUNC, &symbol) && !symbol.is_ifunc
                   ? (void *)symbol.value
                   : NULL;
    }
    return NULL;
}

#ifdef DLFO_EH_SEGMENT_TYPE /* these headers know of it */
/*
 * By name and not by reference: a reference, also a weak one, binds this library to the version of the C
 * library that brought the function, and an older one would refuse every program that loads it.
 */
elf_object_finder *elf_find_object_finder(void)
{
    static elf_object_finder *finder;
    static bool is_known; /* threads that come at the same time write the same */

    if (!__atomic_load_n(&is_known, __ATOMIC_ACQUIRE)) {
        finder = (elf_object_finder *)elf_of_libc("_dl_find_object");
        __atomic_store_n(&is_known, true, __ATOMIC_RELEASE);
    }
    return finder;
}

const elf_ehdr *elf_object_header(const struct link_map *map)
{
    elf_object_finder *find = elf_find_object_finder();
    struct dl_find_object found;

    if (!find || find(map->l_ld, &found) != 0)
        return (const elf_ehdr *)map->l_addr;
    return found.dlfo_map_start;
}
#else
const elf_ehdr *elf_object_header(const struct link_map *map)
{
    return (const elf_ehdr *)map->l_addr;
}
#endif

/* Of the program the kernel says where its headers are. */
void elf_module_of_map(const struct link_map *map, struct elf_module *out)
{
    struct dl_phdr_info info = {.dlpi_addr = map->l_addr, .dlpi_name = map->l_name};

    if (map->l_prev) {
        elf_module_of_header(map, elf_object_header(map), out);
        return;
    }
    info.dlpi_phdr = (const elf_phdr *)auxv_get(AT_PHDR);
    info.dlpi_phnum = (elf_half)auxv_get(AT_PHNUM);
    elf_module_fill(&info, true, out);
}
