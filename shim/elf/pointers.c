/* Finding and writing the loaded modules' pointers to functions.
 *
 * Promise: one word is written, atomically, and nothing is left writable that was not. Only
 * relocations with addend (RELA) are known, which is all that 64-bit machines have.
 */
#include "elf/pointers.h"

#include <string.h>
#include <sys/mman.h>

#include "base/arch.h"
#include "base/auxv.h"
#include "base/sandbox.h"
#include "elf/file.h"
#include "base/sys.h"

typedef ElfW(Rela) elf_rela;

struct elf_tables {
    const elf_rela *start[2];
    size_t count[2];
};

static bool elf_is_in(const struct elf_module *module, const void *address)
{
    return (uintptr_t)address >= module->lo && (uintptr_t)address < module->hi;
}

/* glibc has relocated what the dynamic section says, or not. */
static uintptr_t elf_relocated(const struct elf_module *module, uintptr_t value)
{
    return value < module->lo ? module->base + value : value;
}

static void elf_find_tables(const struct elf_module *module, struct elf_tables *tables)
{
    size_t plt_size = 0, rela_size = 0, relative = 0;
    bool is_rela = true;

    memset(tables, 0, sizeof *tables);
    for (const elf_dyn *entry = module->dynamic; elf_dynamic_is(module, entry); entry++) {
        switch (entry->d_tag) {
        case DT_JMPREL:
            tables->start[0] = (const elf_rela *)elf_relocated(module, entry->d_un.d_ptr);
            break;
        case DT_PLTRELSZ:
            plt_size = entry->d_un.d_val;
            break;
        case DT_PLTREL:
            is_rela = entry->d_un.d_val == DT_RELA;
            break;
        case DT_RELA:
            tables->start[1] = (const elf_rela *)elf_relocated(module, entry->d_un.d_ptr);
            break;
        case DT_RELASZ:
            rela_size = entry->d_un.d_val;
            break;
        case DT_RELACOUNT: /* so many without a symbol come first */
            relative = entry->d_un.d_val;
            break;
        }
    }
    if (is_rela && elf_module_holds(module, (uintptr_t)tables->start[0], plt_size))
        tables->count[0] = plt_size / sizeof(elf_rela);
    if (elf_module_holds(module, (uintptr_t)tables->start[1], rela_size))
        tables->count[1] = rela_size / sizeof(elf_rela);
    relative = relative < tables->count[1] ? relative : tables->count[1];
    tables->start[1] += relative;
    tables->count[1] -= relative;
}

/* `symbols` has a bit for each symbol by the last six bits of its index: no other's pointers are visited. */
static void each_pointer(const struct elf_module *module, uint64_t symbols,
                         bool (*visit)(const struct elf_module *module,
                                       const struct elf_pointer *pointer, void *arg),
                         void *arg)
{
    struct elf_tables tables;

    if (!module->dynsym)
        return;
    elf_find_tables(module, &tables);
    for (unsigned table = 0; table < 2; table++) {
        for (size_t i = 0; i < tables.count[table]; i++) {
            const elf_rela *rela = &tables.start[table][i];
            unsigned type = (unsigned)ELF64_R_TYPE(rela->r_info);
            const elf_sym *symbol;
            struct elf_pointer pointer;

            if (!(symbols >> (ELF64_R_SYM(rela->r_info) & 63) & 1))
                continue;
            if (type != ARCH_RELOCATION_PLT && type != ARCH_RELOCATION_GOT &&
                (type != ARCH_RELOCATION_POINTER || rela->r_addend))
                continue;
            symbol = &module->dynsym[ELF64_R_SYM(rela->r_info)];
            if (symbol->st_name >= module->dynstr_len)
                continue;
            pointer.name = module->dynstr + symbol->st_name;
            pointer.place = (void **)(module->base + rela->r_offset);
            pointer.is_call = type == ARCH_RELOCATION_PLT;
            if (!visit(module, &pointer, arg))
                return;
        }
    }
}

void elf_each_pointer(const struct elf_module *module,
                      bool (*visit)(const struct elf_module *module,
                                    const struct elf_pointer *pointer, void *arg),
                      void *arg)
{
    each_pointer(module, UINT64_MAX, visit, arg);
}

/* What a module asks for stands before what its hash table finds. */
static size_t elf_undefined_count(const struct elf_module *module)
{
    if (module->gnu_hash)
        return module->gnu_hash[1];
    return module->sysv_hash ? module->sysv_hash[1] : 0;
}

static bool could_be(const struct elf_names *names, const char *name)
{
    for (unsigned i = 0; i < sizeof names->at / sizeof names->at[0]; i++) {
        if (!(names->at[i] & ELF_NAMES_BIT(name[i])) || !name[i])
            return false;
    }
    return true;
}

size_t elf_names_find(const struct elf_names *names, const char *name)
{
    size_t n = could_be(names, name) ? 0 : names->count;

    while (n < names->count && strcmp(name, names->names[n]) != 0)
        n++;
    return n;
}

void elf_each_pointer_to(const struct elf_module *module, const struct elf_names *names,
                         bool (*visit)(const struct elf_module *module,
                                       const struct elf_pointer *pointer, void *arg),
                         void *arg)
{
    size_t count = module->dynsym ? elf_undefined_count(module) : 0;
    uint64_t symbols = 0;

    if (count > (module->hi - (uintptr_t)module->dynsym) / sizeof *module->dynsym)
        return;
    for (size_t i = 1; i < count; i++) {
        const elf_sym *symbol = &module->dynsym[i];

        if (symbol->st_name < module->dynstr_len &&
            could_be(names, module->dynstr + symbol->st_name) &&
            elf_names_find(names, module->dynstr + symbol->st_name) < names->count)
            symbols |= (uint64_t)1 << (i & 63);
    }
    if (symbols)
        each_pointer(module, symbols, visit, arg);
}

bool elf_pointer_is_lazy(const struct elf_module *module, const struct elf_pointer *pointer,
                         void *value)
{
    return pointer->is_call && elf_is_in(module, value) &&
           value != elf_dynsym(module, pointer->name);
}

/* The end of what the loader made read-only after relocating: [*start, *end), empty if nothing. */
static void elf_find_relro(const struct elf_module *module, uintptr_t *start, uintptr_t *end)
{
    *start = *end = 0;
    for (size_t i = 0; i < module->phnum; i++) {
        if (module->phdr[i].p_type != PT_GNU_RELRO)
            continue;
        *start = module->base + module->phdr[i].p_vaddr;
        *end = *start + module->phdr[i].p_memsz;
    }
}

static bool is_read_only_in_the_end(const struct elf_module *module, const void *place)
{
    uintptr_t start, end, page = (uintptr_t)auxv_get(AT_PAGESZ);

    elf_find_relro(module, &start, &end);
    return (uintptr_t)place >= (start & ~(page - 1)) && (uintptr_t)place < (end & ~(page - 1));
}

/*
 * Whether it can be written is asked of the kernel by an operation that changes nothing: FUTEX_WAKE_OP ors 0 to
 * the word, and answers EFAULT where the page is read-only. Where the call is refused, or a sandbox forbids it, the module
 * counts as relocated.
 */
bool elf_pointer_is_relocated(const struct elf_module *module, void *const *place)
{
    enum { WAKE_OP_PRIVATE = 128 | 5, OR_NOTHING = 2 << 28 };
    uint32_t nobody = 0;

    return !is_read_only_in_the_end(module, place) || !sandbox_allows(SANDBOX_WOKEN) ||
           SYS_CALL(futex, &nobody, WAKE_OP_PRIVATE, 0L, 0L, place, OR_NOTHING) < 0;
}

bool elf_pointer_write(const struct elf_module *module, void **place, void *value)
{
    uintptr_t page = (uintptr_t)auxv_get(AT_PAGESZ), from = (uintptr_t)place & ~(page - 1);
    bool is_read_only = is_read_only_in_the_end(module, place);

    if (is_read_only && SYS_CALL(mprotect, from, page, PROT_READ | PROT_WRITE) < 0)
        return false;
    __atomic_store_n(place, value, __ATOMIC_RELEASE);
    if (is_read_only)
        (void)SYS_CALL(mprotect, from, page, PROT_READ);
    return true;
}
