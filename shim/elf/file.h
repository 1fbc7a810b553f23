/* An ELF file, mapped for the time of one search. For the elf_*.c files and their tests.
 *
 * The file may be anything: cut short, corrupt, another one than was loaded. Nothing of it is
 * believed: after elf_file_parse a table's bounds hold, and a name below str_len is terminated.
 */
#ifndef BATON_ELF_FILE_H
#define BATON_ELF_FILE_H

#include <pthread.h>

#include "elf/elf.h"

/* Entries of a file stand wherever the file says. */
typedef ElfW(Ehdr) elf_ehdr;
typedef ElfW(Shdr) elf_shdr;
typedef elf_shdr elf_file_shdr __attribute__((aligned(1)));
typedef elf_sym elf_file_sym __attribute__((aligned(1)));

struct elf_table {
    const elf_file_sym *sym;
    size_t count;
    const char *str;
    size_t str_len;
};

struct elf_file {
    const unsigned char *data; /* NULL: looked at only, it has no .symtab to map it for */
    size_t len;
    size_t at; /* where in the file the data begins */
    bool has_symtab;
    unsigned looked_at;              /* sections, of those that are worth it */
    struct elf_table symtab, dynsym; /* count 0: there is none */
    const elf_phdr *phdr;            /* may stand unaligned: compare as bytes */
    size_t phnum;
    const uint8_t *build_id;
    size_t build_id_len;
    const char *debug_link; /* file name, NULL: none; in the data, or in link_name */
    char link_name[256];
    uint32_t debug_link_crc;
};

/* Find the tables in DATA. False: it is no ELF file of this machine; OUT is then without tables. */
bool elf_file_parse(const void *data, size_t len, struct elf_file *out);

/* Map and parse. False: cannot be read, or is no ELF file. */
bool elf_file_open(const char *path, struct elf_file *out);
void elf_file_close(struct elf_file *file);

/* Open the file that MODULE was loaded from; a file that was replaced since does not count. OUT
 * must stay where it is. */
bool elf_file_open_module(const struct elf_module *module, struct elf_file *out);

/* Whether the folder that was looked at last has a place for debug files: most modules lie in one. Of one search: folders
 * are made meanwhile. */
struct elf_folder {
    char path[128];
    size_t len; /* 0: nothing is known */
    bool has_own, has_root;
};

/* Open the separate debug file of MODULE, whose own file is FILE (may be one that did not open). LAST may be NULL. */
bool elf_file_open_debug(const struct elf_module *module, const struct elf_file *file,
                         struct elf_folder *last, struct elf_file *out);

/* elf_find_symbols for one module after the other. */
size_t elf_find_symbols_after(const struct elf_module *module, struct elf_query *queries, size_t n,
                              struct elf_folder *last);

/* What the first note of that kind holds in a run of notes, NULL: none. OWNER: at most three letters. */
const uint8_t *elf_note(const void *notes, size_t len, const char *owner, uint32_t type,
                        size_t *desc_size);

static inline bool elf_module_holds(const struct elf_module *m, uintptr_t address, size_t len)
{
    return address >= m->lo && address < m->hi && len <= m->hi - address;
}

/* How much of the file there is from ADDRESS on, in one segment. A segment may go on with zeros, and between two lies
 * nothing: gigabytes, if a file says so that no loader has checked. */
size_t elf_module_room(const struct elf_module *m, uintptr_t address);
/* Of a module that no loader has checked: a table of which the file has not all counts as none. */
void elf_module_trim(struct elf_module *m);

/* Is there an entry at D, in the module and before the end of its list? Not every file has an end. */
static inline bool elf_dynamic_is(const struct elf_module *m, const elf_dyn *d)
{
    return d && elf_module_holds(m, (uintptr_t)d, sizeof *d) && d->d_tag != DT_NULL;
}

/* The build-id in a run of notes, NULL: none. */
const uint8_t *elf_note_build_id(const void *notes, size_t len, size_t *id_len);

/* The table of exported names in the module's memory. */
struct elf_table elf_module_table(const struct elf_module *module);

/* The loader's list */

/* A function of the C library, by the loader's list alone; NULL: not found. */
void *elf_of_libc(const char *name);

/* dl_iterate_phdr, which waits for nobody that this process does not have: all walks go through here. */
int elf_iterate(int (*callback)(struct dl_phdr_info *info, size_t size, void *arg), void *arg);
/* dlpi_adds and dlpi_subs as the loader told them last. */
extern unsigned long long elf_last_loaded, elf_last_unloaded;
/* What the loader tells of a module, in one struct. */
void elf_module_fill(const struct dl_phdr_info *info, bool is_main, struct elf_module *out);
#ifdef DLFO_EH_SEGMENT_TYPE
/*
 * dl_iterate_phdr takes a lock of the loader's that fork does not look after: a child of a program
 * whose other threads were inside would wait for ever. This one takes none.
 */
typedef int elf_object_finder(void *address, struct dl_find_object *out);
elf_object_finder *elf_find_object_finder(void); /* NULL: glibc before 2.35 */
#endif
/* Where a module's file begins in memory, NULL: not known; the loader is not asked. */
const elf_ehdr *elf_object_header(const struct link_map *map);

/* What came with the program, as list.c has noted it: the first of them, and how many there are in all. */
enum { STARTUP_KNOWN = 512 };
extern struct elf_module elf_startup_list[STARTUP_KNOWN];
extern size_t elf_startup_known; /* 0: not known yet. Atomic; every writer writes the same. */

/* Ours; NULL: we are linked into a program. */
const elf_phdr *elf_own_headers(void);

/* One module by the loader's list for debuggers: nobody is asked, so there is no tls_modid. */
void elf_module_of_map(const struct link_map *map, struct elf_module *out);
/* The kernel's own functions, which no name means; 0: it has none. */
uintptr_t elf_vdso(void);
/* Asks the system for the program's own path. */
void elf_know_program(void);

/* The module at place I of the list, if it came with the program and is known to. */
bool elf_startup_info(size_t i, struct dl_phdr_info *out);

/* Looking for the loader's lock: inside dl_iterate_phdr, when it is at the loader, and after it. */
enum { ELF_LOCK_CANDIDATES = 4 };
struct elf_lock_search {
    pthread_mutex_t *mutex[ELF_LOCK_CANDIDATES];
    unsigned depth[ELF_LOCK_CANDIDATES], count;
    int thread;
};
void elf_lock_note(struct elf_lock_search *search, const struct elf_module *loader);
void elf_lock_choose(const struct elf_lock_search *search);

/* Symbols of a table */

/* The kind of a symbol by its st_info; 0: nothing that is ever wanted. */
static inline unsigned elf_symbol_kind(unsigned char info)
{
    static const unsigned char kinds[16] = {
        [STT_NOTYPE] = ELF_NOTYPE, [STT_FUNC] = ELF_FUNC,     [STT_GNU_IFUNC] = ELF_FUNC,
        [STT_OBJECT] = ELF_OBJECT, [STT_COMMON] = ELF_OBJECT, [STT_TLS] = ELF_TLS,
    };

    return kinds[info & 15];
}

/* Put a file's symbol into OUT as one of MODULE in memory; matches becomes 1. False: its value lies
 * outside of the module. */
bool elf_symbol_fill(const struct elf_module *module, unsigned char info, unsigned section,
                     uintptr_t value, size_t size, enum elf_source source, struct elf_symbol *out);

struct elf_cursor {
    const struct elf_table *table;
    size_t next;
    unsigned want;
    const char *file; /* of the local symbols that follow */
};

/* The next defined symbol of a wanted kind, NULL at the end. */
static inline const elf_file_sym *elf_cursor_next(struct elf_cursor *c, const char **name)
{
    while (c->next < c->table->count) {
        const elf_file_sym *sym = &c->table->sym[c->next++];

        if ((sym->st_info & 15) == STT_FILE) {
            c->file = sym->st_name < c->table->str_len ? c->table->str + sym->st_name : NULL;
            continue;
        }
        if (!(elf_symbol_kind(sym->st_info) & c->want) || sym->st_shndx == SHN_UNDEF ||
            !sym->st_name || sym->st_name >= c->table->str_len)
            continue;
        *name = c->table->str + sym->st_name;
        return sym;
    }
    return NULL;
}

#endif
