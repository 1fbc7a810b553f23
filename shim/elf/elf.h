/* Reading the loaded modules and their files: where a name is, and which name is at an address.
 *
 * Call context: any thread, before our constructor too. Nothing is allocated from the program, no
 * dlopen or dlsym is called; files are mapped and unmapped inside the call; errno is kept. The only
 * lock is the loader's own, inside dl_iterate_phdr, and no foreign code runs under it.
 * Ownership: a struct elf_module is a copy that points into the module itself; it is good until
 * the module is unloaded, so pin the module before keeping anything of it.
 */
#ifndef BATON_ELF_ELF_H
#define BATON_ELF_ELF_H

#include <link.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arch.h"

/* The ABI's own structs, of this machine's class. */
typedef ElfW(Phdr) elf_phdr;
typedef ElfW(Dyn) elf_dyn;
typedef ElfW(Sym) elf_sym;
typedef ElfW(Half) elf_half;

/* The soname of the object that baton run writes (userhooks/plan.h): it defines the functions that the
 * user names, and is nobody's real one. */
#define GENERATED_OBJECT "libbaton-named.so"

struct elf_module {
    const char *path; /* as the loader knows it; the program: where its file can be opened */
    const char *name; /* file name without folders */
    uintptr_t base;   /* what the addresses in the file are shifted by */
    uintptr_t lo, hi; /* all its segments lie in [lo, hi) */
    const elf_phdr *phdr;
    size_t phnum;
    size_t tls_modid; /* 0: it has no thread-local storage */
    size_t tls_size;  /* bytes of its block */
    bool is_main;
    const elf_dyn *dynamic; /* NULL: it has no dynamic section */
    const elf_sym *dynsym;
    const char *dynstr;
    size_t dynstr_len;
    const uint32_t *gnu_hash, *sysv_hash;
    const elf_half *versym; /* NULL: it has no versions */
    const char *soname;     /* NULL: it has none */
};

/* Modules */

/* Call VISIT for every module in load order until it answers other than 0, which is the answer.
 * VISIT runs under the loader's lock: it may read and map, and call nothing foreign. */
int elf_each_module(int (*visit)(const struct elf_module *module, void *arg), void *arg);

/* The module whose memory ADDRESS is in. False: none. Its tls_modid may be 0 although it has one.
 * Waits for no lock where glibc is 2.35 or newer: for forked children. */
bool elf_module_at(const void *address, struct elf_module *out);

/* Where the segment of a module that ADDRESS is in ends; 0: it is in none. A few instructions where glibc is 2.35
 * or newer, however many modules there are. */
uintptr_t elf_segment_end(const void *address);

/* Does a user's MODULE mean this one? `main`, a path, or the start of the file name up to its end,
 * a '.' or a '-': libuv means libuv.so.1.0.0, libglib means libglib-2.0.so.0. */
bool elf_module_match(const struct elf_module *module, const char *name);

/* The first module in load order that a user's MODULE means. */
bool elf_module_find(const char *name, struct elf_module *out);

/* Where the program was started from; its file, once elf_begin has asked the system. */
const char *elf_program_path(void);

/* As it is called to people: by the name that it was started by, if that is a link to its file and elf_know_started has
 * asked the system, before main. A script's name is not its interpreter's; one who starts a program with rights of its own is
 * not believed. */
void elf_know_started(void);
const char *elf_program_started(void);

/* Is it linked to a library whose soname begins so? */
bool elf_module_needs(const struct elf_module *module, const char *soname);

/* Is there a name that begins so among those that it exports or asks for? */
bool elf_module_mentions(const struct elf_module *module, const char *beginning);

/* The build-id in the module's memory; NULL: it has none. */
const uint8_t *elf_module_build_id(const struct elf_module *module, size_t *len);

/* Of what nobody writes to when it is loaded, up to a megabyte a segment: for a module without build-id. */
uint64_t elf_module_fingerprint(const struct elf_module *module);

/* Likewise for every module that came with the program, and not under the loader's lock. 1: VISIT has
 * answered so. */
int elf_each_startup(int (*visit)(const struct elf_module *module, void *arg), void *arg);

/* Where the list of modules ended when this library was relocated (interpose/early.c): up to there it came
 * with the program. NULL: it was opened later, or is not loaded at all. */
extern const struct link_map *elf_startup_last __attribute__((visibility("hidden")));

/* dl_iterate_phdr of the C library, whoever else has one (interpose/early.c). NULL: nobody looked, the first in the
 * program's scope has to do. */
typedef int elf_loader_walker(int (*callback)(struct dl_phdr_info *info, size_t size, void *arg),
                              void *arg);
extern elf_loader_walker *elf_loader_walk __attribute__((visibility("hidden")));

/* The two, where the loader's list was not there yet when this library was relocated: in a program that refers to _r_debug,
 * of which it has a copy then, or opened the library. Before anything else is looked for. */
void elf_know_loader(void);

/* Where malloc's first heap ends, which the C library notes: sbrk(0), by nobody's name and without the system. 0: there is
 * none, or it is not known. */
uintptr_t elf_heap_end(void);

/* Where the first thread's stack begins, 0: not known. Waits for nobody; from signal handlers too. */
uintptr_t elf_stack_end(void);

/* This library. */
bool elf_module_is_ours(const struct elf_module *module);

/* Asks the system and the loader for what is wanted later, when the program may have forbidden it. */
void elf_begin(void);

/* Around foreign code that walks the loader's list by itself. False: it would wait for ever, leave it. */
bool elf_walk_begin(void);
void elf_walk_end(void);

/* Around fork: in the prepare handler before any lock of ours is taken, again when all are, and in the
 * two handlers after it. Then a child does not find the loader's lock held because of a walk of ours. */
void elf_fork_wait(void);
void elf_fork_close(void);
void elf_fork_open(bool is_child);

/* Does all of that lie in what the module has for code? */
bool elf_module_has_code(const struct elf_module *module, uintptr_t address, size_t len);

/* Did the Go linker make it, alone or through a C linker (cgo)? */
bool elf_module_is_go(const struct elf_module *module);

/* Was it loaded with the program, not by dlopen? Then it stays, and its thread-local storage has
 * one offset from the thread pointer in all threads. */
bool elf_module_is_startup(const struct elf_module *module);

/* Exported names, by the module's hash table; no file is touched */

/* What kinds of symbol are wanted; FUNC has indirect functions in it. */
enum elf_want { ELF_FUNC = 1, ELF_OBJECT = 2, ELF_TLS = 4, ELF_NOTYPE = 8, ELF_ANY = 15 };

enum elf_source { ELF_FROM_DYNSYM, ELF_FROM_SYMTAB, ELF_FROM_DEBUG };

struct elf_symbol {
    uintptr_t value; /* address in this process; for thread-local storage the offset in the block */
    size_t size;
    enum elf_source source;
    enum elf_want kind; /* one bit */
    unsigned matches;   /* different symbols of that name in the module */
    bool is_local;      /* static: `matches` over 1 means that the name alone is ambiguous */
    bool is_ifunc;      /* value is the resolver; elf_symbol_address calls it */
};

/* The default version of NAME; VERSION as in "GLIBC_2.2.5" asks for that one instead. False: the
 * module does not define it, or not as WANT. */
bool elf_dynsym_find(const struct elf_module *module, const char *name, const char *version,
                     unsigned want, struct elf_symbol *out);

/* The same with elf_name_hash(NAME), for who asks many modules. */
bool elf_dynsym_find_hashed(const struct elf_module *module, const char *name, uint32_t hash,
                            const char *version, unsigned want, struct elf_symbol *out);
uint32_t elf_name_hash(const char *name);

/* Does the module take a symbol of that name from another one? */
bool elf_dynsym_imports(const struct elf_module *module, const char *name);

/* The address of an exported function or object, NULL when there is none. Indirect functions are
 * resolved, which calls the module. */
void *elf_dynsym(const struct elf_module *module, const char *name);
void *elf_dynsym_hashed(const struct elf_module *module, const char *name, uint32_t hash);

/* The first definition in load order outside of SKIP (may be NULL: nothing is left out). FOUND and
 * COUNT (the number of modules that define it) may be NULL. */
void *elf_lookup_global(const char *name, const struct elf_module *skip, struct elf_module *found,
                        unsigned *count);

/* The first definition of a function behind the module that ADDRESS is in, in load order, then before
 * it. Calls nobody, not even dl_iterate_phdr; for what came with the program. */
void *elf_linked_after(const void *address, const char *name);

/* What RTLD_NEXT means to the module that ADDRESS is in, likewise. NULL: nothing, or it has a function
 * of that name itself. */
void *elf_linked_next(const void *address, const char *name);

/* The C library's environ; NULL: there is none yet, or the program took it away. Looked for at each call. */
char **elf_environment(void);

/* A function of the C library's own, whoever else has one of that name. NULL: it has none. */
void *elf_libc(const char *name);

/* dlopen and dlsym of the C library's own, for us, from where the program may be called (not under the loader's lock). What
 * is opened is told to elf_opener (interpose/loader.c), which calls OPEN; NULL: nobody wants to know. */
typedef void *elf_open_call(const char *path, int mode);
extern void *(*elf_opener)(elf_open_call *open, const char *path, int mode)
    __attribute__((visibility("hidden")));
void *elf_open(const char *path, int mode);
void *elf_open_symbol(void *library, const char *name);
/* The same where a program has no libdl, before glibc 2.34. */
void *elf_open_bare(const char *path, int mode);
void *elf_open_bare_symbol(void *library, const char *name);

/* What the loader says about the last of these that failed; a text in any case. */
const char *elf_open_error(void);

/* Where a function or object is at run time; calls the resolver of an indirect function. */
void *elf_symbol_address(const struct elf_symbol *symbol);

/* All names, hidden and static ones too */

enum { ELF_FULL = 1024 };

struct elf_query {
    const char
        *name;  /* mangled; name.lto_priv.N counts as name; '*' in it: of files' tables only */
    char *full; /* of one with '*', may be NULL: what was found, of ELF_FULL bytes */
    const char *file;        /* of a static symbol: "count.c"; NULL: any */
    unsigned want;           /* bits of enum elf_want */
    struct elf_symbol found; /* set by the search; matches == 0: not found */
    uint32_t hash;           /* of the name; 0: it is worked out */
};

/* Look for N names at once: exported ones first, then .symtab of the file, then, when the file is
 * stripped, of its debug file (build-id, .gnu_debuglink). Answers how many were found. */
size_t elf_find_symbols(const struct elf_module *module, struct elf_query *queries, size_t n);

/* The same for one name; OUT may be NULL. */
bool elf_find_symbol(const struct elf_module *module, const char *name, const char *file,
                     unsigned want, struct elf_symbol *out);

/* Is there a symbol of that name, of whatever kind: for _ZTH and _ZGV. */
bool elf_has_symbol(const struct elf_module *module, const char *name);

/* A name that a user gave, in whatever module. */
struct elf_search {
    const char *module;      /* the user's MODULE; NULL: any */
    struct elf_query query;  /* query.found.matches == 0: not found yet */
    struct elf_module where; /* set when found */
};

/* What has been looked through for one set of names: zeroes at first, kept between two calls. */
struct elf_seen {
    unsigned long long loaded, unloaded;
    size_t count;
};

/* Look for all that is not found yet, every file opened at most once: exported names in load order
 * first, by hash, then static ones in load order. This library itself is left out, and so are the
 * static names of the C library unless MODULE names it. With SEEN, only modules that were loaded
 * since the last call with it, and what was found in a library that may be unloaded by now is
 * looked for again. Answers how many were found now. */
size_t elf_search_modules(struct elf_search *searches, size_t n, struct elf_seen *seen);

/* Has a module been loaded or unloaded since the last call with it? True at the first. */
bool elf_is_changed(struct elf_seen *seen);

/* The name that is most like NAME, or a compiler's clone of it (NAME.isra.0), for "did you mean".
 * False: nothing is near. Slow: for messages. */
bool elf_nearest(const struct elf_module *module, const char *name, unsigned want, char *buf,
                 size_t n);

/* The nearest name in all modules that the search may look into, as NAME@FILE, for messages. */
bool elf_search_nearest(const struct elf_search *search, char *buf, size_t n);

/* Which function or object is at ADDRESS, and where it is. BUF gets the name. Slow: for messages
 * and for names that are asked for once. */
bool elf_symbol_at(const void *address, unsigned want, struct elf_symbol *out, char *buf, size_t n);
bool elf_function_at(const void *address, uintptr_t *start, uintptr_t *end, char *buf, size_t n);

/* Thread-local storage */

/* The calling thread's byte at OFFSET in a module's block. The first touch in a thread may allocate
 * from the program when the module came by dlopen. */
void *elf_tls_address(size_t modid, size_t offset);

/*
 * The same for a module that is never unloaded and whose variables are asked for often: once a thread has its block, by
 * the thread's own table of blocks, else NULL. GENERATION is that of tables that know the module; SIZE_MAX: none is to be trusted.
 * Whether the table lies as glibc 2.31 to 2.41 have it is looked at when it is asked for.
 */
size_t elf_tls_generation(size_t modid);

/* dtv_t of glibc: two words an entry, of which the first is the block or -1; the entry of no module counts what was
 * loaded and unloaded when the table was last looked at. */
enum { ELF_TLS_ENTRY = 2 };

/* ENTRY: ELF_TLS_ENTRY times the module's identifier. */
static inline __attribute__((always_inline)) char *elf_tls_peek(size_t entry, size_t generation)
{
    const uintptr_t *table = arch_tls_table();
    uintptr_t block;

    if (__builtin_expect(table[0] < generation, 0))
        return NULL;
    block = table[entry];
    return __builtin_expect(block - 1 < UINTPTR_MAX - 1, 1) ? (char *)block : NULL;
}

/* The same as an offset from the thread pointer, good for every thread. False: the module came by
 * dlopen, each thread has its block elsewhere. */
bool elf_tls_tp_offset(const struct elf_module *module, size_t offset, intptr_t *out);

/* Where separate debug files are: "/usr/lib/debug". A test sets its own. */
extern const char *elf_debug_root;

#endif
