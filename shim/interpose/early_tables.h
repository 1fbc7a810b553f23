/*
 * The tables of names of the modules that came with the program, as the loader reads them: between the files
 * that run while it relocates this library. The rules of early.c hold.
 */
#ifndef BATON_INTERPOSE_EARLY_TABLES_H
#define BATON_INTERPOSE_EARLY_TABLES_H

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#include "elf/elf.h"
#include "interpose/hooks.h"

#define EARLY __attribute__((visibility("hidden")))

extern const ElfW(Ehdr) __ehdr_start EARLY;

/* A module's tables, by the loader's dynamic section. */
struct tables {
    const struct link_map *map;
    const elf_sym *symbols;
    const char *strings;
    size_t strings_len;
    const uint32_t *gnu, *sysv;
};

/* What came with the program, without us. The first few lie where each start writes anyway (layout.ld.in). */
enum { EARLY_FIRST = 32, EARLY_MODULES_MAX = 512 };
extern struct tables early_first[EARLY_FIRST] EARLY;
extern struct tables early_more[EARLY_MODULES_MAX - EARLY_FIRST] EARLY;
extern unsigned early_count EARLY;

static inline struct tables *early_module(unsigned i)
{
    return i < EARLY_FIRST ? &early_first[i] : &early_more[i - EARLY_FIRST];
}

EARLY void early_read_tables(const struct link_map *map, struct tables *t);
/* Up to where a module's undefined symbols stand: in front of those that are hashed. */
EARLY size_t early_references_end(const elf_sym *symbols, const char *strings, const uint32_t *gnu,
                                  const uint32_t *sysv);
/* The defined symbol of that name; 0: none. Without a name: the first whose name has that hash. */
EARLY uint32_t early_find_defined(const struct tables *t, const char *name, uint32_t hash);
/* Has any of those modules one? */
EARLY bool early_is_anybodys(const char *name, uint32_t hash);

static inline bool early_is_same(const char *a, const char *b)
{
    while (*a && *a == *b)
        a++, b++;
    return *a == *b;
}

static inline uint32_t early_hash(const char *name)
{
    uint32_t hash = 5381;

    for (; *name; name++)
        hash = hash * 33 + (unsigned char)*name;
    return hash;
}

/* The same of a name that the compiler knows, which then works it out. */
#define early_hash_of(name)                                                                      \
    ({                                                                                           \
        uint32_t hash_of = 5381;                                                                 \
        _Pragma("GCC unroll 32") for (size_t hash_at = 0; hash_at < sizeof(name) - 1; hash_at++) \
            hash_of = hash_of * 33 + (unsigned char)(name)[hash_at];                             \
        hash_of;                                                                                 \
    })

/* The row of a symbol of ours, HOOK_COUNT: it is none's. */
static inline unsigned early_row(const elf_sym *symbol)
{
    ElfW(Addr) at = symbol->st_value - ((ElfW(Addr))hook_exports - (ElfW(Addr)) & __ehdr_start);

    return at < (ElfW(Addr))HOOK_COUNT * HOOK_STRIDE ? (unsigned)(at / HOOK_STRIDE) : HOOK_COUNT;
}

/* early_references.c: goes through what a module asks others for, and sets back what has been led to us and is
 * nobody else's. Answers whether it uses include/baton.h. */
EARLY bool early_look_at_references(const struct tables *t, const struct tables *self);

#endif
