/*
 * Pointers to named functions in the loaded modules: what the loader's relocations made of a call
 * through the PLT (lazy or bound at start), of -fno-plt, of a table of function pointers.
 *
 * Not seen from here, and said so in the report: calls that a module makes before it has been looked
 * at (its constructors), calls bound directly inside one module. A generated object sees the first.
 *
 * A pointer is written once, as one word; read-only pages (RELRO) are made writable for that long.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>

#include "base/elf.h"
#include "base/log.h"
#include "base/sys.h"
#include "handoffs/next.h"
#include "hooks/core.h"
#include "hooks/got.h"

typedef ElfW(Rela) elf_rela;

struct tables {
    const elf_rela *start[2];
    size_t count[2];
};

static uintptr_t pointer_of(const struct elf_module *module, uintptr_t value)
{
    return value < module->lo ? module->base + value : value; /* glibc has relocated it, or not */
}

static void find_tables(const struct elf_module *module, struct tables *tables)
{
    size_t plt_size = 0, rela_size = 0;
    bool is_rela = true;

    memset(tables, 0, sizeof *tables);
    for (const elf_dyn *entry = module->dynamic; entry && entry->d_tag != DT_NULL; entry++) {
        switch (entry->d_tag) {
        case DT_JMPREL:
            tables->start[0] = (const elf_rela *)pointer_of(module, entry->d_un.d_ptr);
            break;
        case DT_PLTRELSZ:
            plt_size = entry->d_un.d_val;
            break;
        case DT_PLTREL:
            is_rela = entry->d_un.d_val == DT_RELA;
            break;
        case DT_RELA:
            tables->start[1] = (const elf_rela *)pointer_of(module, entry->d_un.d_ptr);
            break;
        case DT_RELASZ:
            rela_size = entry->d_un.d_val;
            break;
        }
    }
    if (tables->start[0] && is_rela)
        tables->count[0] = plt_size / sizeof(elf_rela);
    if (tables->start[1])
        tables->count[1] = rela_size / sizeof(elf_rela);
}

static bool is_in(const struct elf_module *module, const void *address)
{
    return (uintptr_t)address >= module->lo && (uintptr_t)address < module->hi;
}

/* The end of what the loader made read-only after relocating: [*start, *end), empty if nothing. */
static void find_relro(const struct elf_module *module, uintptr_t *start, uintptr_t *end)
{
    *start = *end = 0;
    for (size_t i = 0; i < module->phnum; i++) {
        if (module->phdr[i].p_type != PT_GNU_RELRO)
            continue;
        *start = module->base + module->phdr[i].p_vaddr;
        *end = *start + module->phdr[i].p_memsz;
    }
}

static bool write_pointer(const struct elf_module *module, void **place, void *value)
{
    uintptr_t start, end, page = (uintptr_t)sysconf(_SC_PAGESIZE),
                          from = (uintptr_t)place & ~(page - 1);
    bool is_read_only;

    find_relro(module, &start, &end);
    is_read_only = (uintptr_t)place >= (start & ~(page - 1)) &&
                   (uintptr_t)place < (end & ~(page - 1));
    if (is_read_only && SYS_CALL(mprotect, from, page, PROT_READ | PROT_WRITE) < 0)
        return false;
    __atomic_store_n(place, value, __ATOMIC_RELEASE);
    if (is_read_only)
        (void)SYS_CALL(mprotect, from, page, PROT_READ);
    return true;
}

/* What the pointer leads to, or would once the lazy binder has run. */
static void *target_of(const struct elf_module *module, const char *name, unsigned type,
                       void *value)
{
    struct elf_module owner;

    if (type == RELOCATION_PLT && is_in(module, value) && value != elf_dynsym(module, name))
        return next_find_for(name, (const void *)module->lo);
    /* The generated object's stub knows no copy: this module's own scope does. */
    if (elf_module_at(value, &owner) && named_is_generated(&owner))
        return next_find_for(name, (const void *)module->lo);
    return value;
}

static void patch_pointer(const struct elf_module *module, struct named_hook *hook,
                          const char *name, unsigned type, void **place)
{
    void *value = __atomic_load_n(place, __ATOMIC_ACQUIRE), *target;
    unsigned index;

    if (!value || thunk_is_ours(value))
        return;
    target = target_of(module, name, type, value);
    if (!target || thunk_is_ours(target) || !named_accepts(hook, target))
        return;
    index = named_thunk(hook, target);
    if (index < THUNKS &&
        write_pointer(module, place, thunk_address(index, spec_wraps(&hook->spec)))) {
        hook->places++;
        log_msg(LOG_LEVEL_DEBUG, "%s: hooked a pointer in %s", hook->spec.item, module->name);
    }
}

/* Pointers to named functions are also had from dlsym, which is called after every dlopen anyway. */
static void patch_dlsym(const struct elf_module *module, void **place)
{
    void *value = __atomic_load_n(place, __ATOMIC_ACQUIRE);

    if (value && value != (void *)named_dlsym && named_real_dlsym)
        write_pointer(module, place, (void *)named_dlsym);
}

static int patch_module(const struct elf_module *module, void *arg)
{
    struct tables tables;

    if (is_in(module, patch_module) || !module->dynsym || named_is_generated(module))
        return 0;
    find_tables(module, &tables);
    for (unsigned table = 0; table < 2; table++) {
        for (size_t i = 0; i < tables.count[table]; i++) {
            const elf_rela *rela = &tables.start[table][i];
            unsigned type = (unsigned)ELF64_R_TYPE(rela->r_info);
            const elf_sym *symbol;
            const char *name;

            if (type != RELOCATION_PLT && type != RELOCATION_GOT &&
                (type != RELOCATION_POINTER || rela->r_addend))
                continue;
            symbol = &module->dynsym[ELF64_R_SYM(rela->r_info)];
            if (symbol->st_name >= module->dynstr_len)
                continue;
            name = module->dynstr + symbol->st_name;
            if (!strcmp(name, "dlsym"))
                patch_dlsym(module, (void **)(module->base + rela->r_offset));
            for (unsigned item = 0; item < named_count; item++) {
                struct named_hook *hook = &named_hooks[item];

                if (hook->spec.function[0] == name[0] && !strcmp(hook->spec.function, name) &&
                    named_uses_got(hook))
                    patch_pointer(module, hook, name, type,
                                  (void **)(module->base + rela->r_offset));
            }
        }
    }
    return 0;
}

void got_patch_modules(void)
{
    int saved_errno = errno;

    elf_each_module(patch_module, NULL);
    errno = saved_errno;
}
