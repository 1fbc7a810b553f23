/*
 * Functions of the C library's own, whoever else has one of that name, and libraries that are opened for us by them.
 *
 * Promise: no look-up of ours goes by a name that a program may have, too: a program's own dlopen counts what it opens, or
 * is no dlopen at all. What is opened is noted all the same, as the program's is (elf_opener).
 */
#include "elf/elf.h"

#include <dlfcn.h>
#include <limits.h>
#include <string.h>

#include "elf/file.h"

struct own {
    const char *name;
    uint32_t hash;
    struct elf_symbol symbol;
};

/* Before glibc 2.34 it was several. */
static bool is_libc(const struct elf_module *module)
{
    static const char *const parts[] = {"libc.so.", "libdl.so.", "librt.so.", "libpthread.so."};

    for (size_t i = 0; module->soname && i < sizeof parts / sizeof *parts; i++) {
        if (!strncmp(module->soname, parts[i], strlen(parts[i])))
            return true;
    }
    return false;
}

static int visit_libc(const struct elf_module *module, void *arg)
{
    struct own *own = arg;

    return is_libc(module) &&
           elf_dynsym_find_hashed(module, own->name, own->hash, NULL, ELF_FUNC, &own->symbol);
}

/* The one that has dl_iterate_phdr, among what is in memory for good; NULL: not known. Threads that come at the same time
 * find the same. */
static const struct elf_module *find_libc(void)
{
    static const struct elf_module *known;
    const struct elf_module *found = __atomic_load_n(&known, __ATOMIC_RELAXED);
    const uintptr_t inside = (uintptr_t)elf_loader_walk;
    size_t count = __atomic_load_n(&elf_startup_known, __ATOMIC_ACQUIRE);

    for (size_t i = 0; !found && i < count && i < STARTUP_KNOWN; i++) {
        const struct elf_module *module = &elf_startup_list[i];

        if (inside >= module->lo && inside < module->hi)
            __atomic_store_n(&known, found = module, __ATOMIC_RELAXED);
    }
    return found;
}

void *elf_libc(const char *name)
{
    struct own own = {.name = name, .hash = elf_name_hash(name)};
    const struct elf_module *module = find_libc();

    if (module && elf_dynsym_find_hashed(module, name, own.hash, NULL, ELF_FUNC, &own.symbol))
        return elf_symbol_address(&own.symbol);
    return elf_each_startup(visit_libc, &own) == 1 || elf_each_module(visit_libc, &own) == 1
               ? elf_symbol_address(&own.symbol)
               : NULL;
}

/*
 * Before glibc 2.34 dlopen is in libdl, which not every program has. What we want to open ourselves (adapters, the unwinder)
 * is opened by what the C library opens its own plugins by.
 */
void *elf_open_bare(const char *path, int mode)
{
    enum { BY_A_PROGRAM = INT_MIN }; /* __RTLD_DLOPEN */
    void *(*open)(const char *, int) = (void *(*)(const char *, int))elf_libc("__libc_dlopen_mode");

    return open ? open(path, mode | BY_A_PROGRAM) : NULL;
}

void *elf_open_bare_symbol(void *library, const char *name)
{
    void *(*find)(void *, const char *) = (void *(*)(void *, const char *))elf_libc("__libc_dlsym");

    if (library == RTLD_DEFAULT)
        return elf_lookup_global(name, NULL, NULL, NULL);
    return find && library != RTLD_NEXT ? find(library, name) : NULL;
}

void *(*elf_opener)(elf_open_call *open, const char *path, int mode);

void *elf_open(const char *path, int mode)
{
    elf_open_call *open = (elf_open_call *)elf_libc("dlopen");

    if (!open)
        open = elf_open_bare;
    return elf_opener ? elf_opener(open, path, mode) : open(path, mode);
}

void *elf_open_symbol(void *library, const char *name)
{
    void *(*find)(void *, const char *) = (void *(*)(void *, const char *))elf_libc("dlsym");

    return find ? find(library, name) : elf_open_bare_symbol(library, name);
}

const char *elf_open_error(void)
{
    const char *(*error)(void) = (const char *(*)(void))elf_libc("dlerror");
    const char *text = error ? error() : NULL;

    return text ? text : "cannot be loaded";
}
