/*
 * What is done while the loader relocates this library: before any constructor, before thread-local
 * storage has its initial values, and before the program's own references are bound.
 *
 * - The hooks' table is filled: a loop of ours costs a tenth of what the loader takes for that.
 * - The end of the list of modules is noted: what is in it now came with the program and stays.
 * - With nothing to do, our names are taken out of the table that the loader looks into: the program's
 *   calls lead to the real functions, and absent libraries are absent.
 * - Modules that were bound before us and may have asked in vain, had we not been there (weak references),
 *   have their pointers set back (early_references.c).
 *
 * Rules: no call through the procedure linkage table: a module that has a function of that name may not be
 * relocated yet. No thread-local storage. Every table that is read is one that the loader has read before.
 */
#include "interpose/early.h"

#include "base/arch.h"
#include "base/auxv.h"
#include "elf/elf.h"
#include "interpose/arch.h"
#include "interpose/deferred.h"
#include "interpose/early_tables.h"
#include "interpose/hooks.h"
#include "interpose/next.h"
#include "interpose/start.h"

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

/* In the linker's layout only: the tables of names lie where we may write. */
extern const char names_are_writable[] __attribute__((weak, visibility("hidden")));
extern const elf_sym names_end[] __attribute__((weak, visibility("hidden")));

ARCH_WRITTEN_EARLY struct early_names early_names;

static void note_own_names(const struct tables *self)
{
    const uint32_t *header = self->gnu;

    early_names.symbols = (elf_sym *)(uintptr_t)self->symbols;
    early_names.strings = self->strings;
    early_names.first = early_names.end = header[1];
    early_names.bloom = (ElfW(Addr) *)(uintptr_t)(header + 4);
    early_names.bloom_count = header[2];
    early_names.bloom_shift = header[3];
    early_names.is_writable = names_are_writable != NULL;
}

/* How many names there are: what the linker says, or the end of the last chain. */
static void count_own_names(const struct tables *self)
{
    const uint32_t *header = self->gnu,
                   *buckets = (const uint32_t *)(early_names.bloom + header[2]);

    if (early_names.is_writable) {
        early_names.end = (uint32_t)(names_end - early_names.symbols);
        return;
    }
    for (uint32_t i = 0; i < header[0]; i++) {
        if (buckets[i] > early_names.end)
            early_names.end = buckets[i];
    }
    while (!(buckets[header[0] + early_names.end - header[1]] & 1))
        early_names.end++;
    early_names.end++;
}

/* The loader's own: a program that uses it has a copy of its own, which is filled last. */
static const long *stack_end(void)
{
    static const char name[] = "__libc_stack_end";
    const uint32_t hash = early_hash_of(name);

    for (unsigned i = 0; i < early_count; i++) {
        const struct tables *t = early_module(i);
        uint32_t symbol;

        if (t->map->l_addr == _r_debug.r_ldbase &&
            (symbol = early_find_defined(t, name, hash)) != 0)
            return *(const long **)(t->map->l_addr + t->symbols[symbol].st_value);
    }
    return NULL;
}

/* Before glibc 2.34: what threads need is in libpthread, which did not come with this program. */
static bool is_without_threads;

/*
 * The C library's own dl_iterate_phdr, which is asked before others' constructors have run: a sanitizer's runtime has one of
 * that name, too, which ends the process when it is called before its turn. The C library stands behind it. A hash is told
 * from all others of the C library's, so that no name is compared a byte at a time.
 */
static void look_at_libc(void)
{
    static const char name[] = "dl_iterate_phdr", key[] = "pthread_key_create",
                      library[] = "libc.so.";
    const uint32_t hash = early_hash_of(name), key_hash = early_hash_of(key);

    for (unsigned i = early_count; i-- > 0;) {
        const struct tables *t = early_module(i);
        const ElfW(Dyn) *soname = t->map->l_ld;
        uint32_t symbol = early_find_defined(t, NULL, hash);

        if (!symbol || __builtin_memcmp(t->strings + t->symbols[symbol].st_name, name, sizeof name))
            continue;
        while (soname->d_tag != DT_SONAME && soname->d_tag != DT_NULL)
            soname++;
        if (soname->d_tag == DT_NULL ||
            __builtin_memcmp(t->strings + soname->d_un.d_val, library, sizeof library - 1) != 0)
            continue;
        elf_loader_walk = (elf_loader_walker *)(t->map->l_addr + t->symbols[symbol].st_value);
        is_without_threads = !early_find_defined(t, NULL, key_hash) &&
                             !early_is_anybodys(key, key_hash);
        return;
    }
}

static bool begins_with(const char *text, const char *start)
{
    size_t i = 0;

    while (start[i] && text[i] == start[i])
        i++;
    return !start[i];
}

/* As config_is_bare has it: BATON=1. */
static __attribute__((noinline)) bool is_bare(const char *value)
{
    return begins_with(value, "1") || begins_with(value, "on");
}

/* Is there any setting, and none that puts all the others out? As config.c has it: BATON_TEST_ is the tests' own. */
static bool is_configured(void)
{
    static const char prefix[] = "BATON", tests[] = "TEST_", off[] = "DISABLE=all";
    const long *stack = stack_end(); /* the number of arguments, they, NULL, the environment */
    char **environment;
    bool is_any = false;

    if (!stack)
        return true;
    auxv_stack = stack;
    environment = (char **)(uintptr_t)(stack + 1 + stack[0] + 1);
    for (; *environment; environment++) {
        const char *entry = *environment;

        if (!begins_with(entry, prefix))
            continue;
        entry += sizeof prefix - 1;
        if (*entry == '=' && is_bare(entry + 1))
            is_any = true;
        if (*entry++ != '_')
            continue;
        if (begins_with(entry, off) && !entry[sizeof off - 1])
            return false;
        if (is_any || begins_with(entry, tests))
            continue;
        while (*entry && *entry != '=')
            entry++;
        is_any = *entry == '=';
    }
    return is_any;
}

/* ---- references that lead to nothing without us ---- */

static int visit_definer(const struct elf_module *module, void *arg)
{
    struct elf_symbol symbol;
    const char *name = arg;

    return !elf_module_is_ours(module) &&
           elf_dynsym_find(module, name, NULL, ELF_FUNC | ELF_NOTYPE, &symbol);
}

bool early_is_startup(enum hook_id id)
{
    const char *name = hooks_name(id);

    return early_is_anybodys(name, early_hash(name));
}

bool early_is_there(enum hook_id id)
{
    return early_is_startup(id) ||
           elf_each_module(visit_definer, (void *)(uintptr_t)hooks_name(id)) == 1;
}

bool early_is_mixed;

enum { REFERENCES_MAX = 16 };
struct references {
    const char *name;
    struct elf_module modules[REFERENCES_MAX]; /* that came later and would go on without it */
    unsigned count;
    bool is_needed; /* by another one */
};

static int visit_reference(const struct elf_module *module, void *arg)
{
    struct references *references = arg;
    size_t end;

    if (elf_module_is_startup(module) || !module->dynsym)
        return 0;
    end = early_references_end(module->dynsym, module->dynstr, module->gnu_hash, module->sysv_hash);
    for (size_t i = 1; i < end; i++) {
        const elf_sym *symbol = &module->dynsym[i];

        if (symbol->st_shndx != SHN_UNDEF || symbol->st_name >= module->dynstr_len ||
            !early_is_same(module->dynstr + symbol->st_name, references->name))
            continue;
        if (symbol->st_info >> 4 == STB_WEAK && references->count < REFERENCES_MAX)
            references->modules[references->count++] = *module;
        else
            references->is_needed = true;
    }
    return 0;
}

/*
 * A library has it that was opened for its opener only (RTLD_LOCAL). A caller that asks now is not told, but one that may
 * is known: the modules that came later and refer to the name. None of those sees that library: in vain.
 */
static bool is_asked_in_vain(const char *name)
{
    struct references references = {.name = name};

    if (early_is_mixed)
        return false;
    elf_each_module(visit_reference, &references);
    for (unsigned i = 0; i < references.count; i++)
        references.is_needed |= next_find_own(&references.modules[i], name) != NULL;
    return references.count && !references.is_needed;
}

/*
 * What we export of a library that is not loaded must not look as if it were: a program that asks first (a
 * weak reference, dlsym) and finds it would call it, and the work would be lost. So what we export of
 * other libraries are indirect functions: whenever the loader binds a reference it asks here, and gets
 * ours if another module has one of that name by then, a library that is being opened right now too, and
 * nothing if none has. This runs inside the loader, in any thread, under locks of its own.
 */
__attribute__((used, visibility("hidden"))) void *names_ask(unsigned row);
void *names_ask(unsigned row)
{
    enum hook_id id = (enum hook_id)row;
    unsigned family = hook_infos[id].family;

    /* We open libraries ourselves, with or without libdl (hooks_real_for). */
    return family == FAMILY_LOADER || family == FAMILY_LOOKUP || early_is_startup(id) ||
                   (early_is_there(id) && !is_asked_in_vain(hooks_name(id)))
               ? (void *)(uintptr_t)(hook_exports + (size_t)row * HOOK_STRIDE)
               : NULL;
}

extern const char hook_askers[] __attribute__((visibility("hidden")));
#define HOOK(family, ret, name, params) ASKER
__asm__(".pushsection .text\n .p2align 4\n .globl hook_askers\n .hidden hook_askers\n"
        "hook_askers:\n .set asker_row, 0\n"
#include "interpose/hooks.def"
        ".popsection");
#undef HOOK

/* ---- the names themselves ---- */

/* What is filled at every start is filled two words at a time. */
typedef uintptr_t pair
    __attribute__((vector_size(2 * sizeof(uintptr_t)), aligned(sizeof(uintptr_t)), may_alias));

/* What others of ours are linked to: include/baton.h, and the object that baton run writes. */
static void hide_names(void)
{
    static const char api[] = "baton_api", bank[] = "baton_named_bank";
    const uint32_t kept[] = {early_hash_of(api), early_hash_of(bank)};
    enum { BITS = 8 * sizeof(ElfW(Addr)) };

    early_names.bloom[0] = 0; /* there may be one only: their number is a power of two */
#pragma GCC unroll 8
    for (uint32_t i = 0; i + 2 <= early_names.bloom_count; i += 2)
        *(pair *)(void *)&early_names.bloom[i] = (pair){0, 0};
    for (unsigned i = 0; i < sizeof kept / sizeof kept[0]; i++)
        early_names.bloom[kept[i] / BITS & (early_names.bloom_count - 1)] |=
            (ElfW(Addr))1 << kept[i] % BITS | (ElfW(Addr))1
                                                  << (kept[i] >> early_names.bloom_shift) % BITS;
}

/*
 * From now on the loader asks us of what we export of other libraries. What the C library has it has
 * always, and tools look those up by what they are; but where that has no threads (before glibc 2.34) every program of C++
 * would believe that there are some, and call what is not there.
 */
static inline void make_ask(elf_sym *symbol, ElfW(Addr) first, ElfW(Addr) length,
                            ElfW(Addr) to_asker)
{
    if (symbol->st_value - first < length) {
        symbol->st_info |= STT_FUNC ^ STT_GNU_IFUNC; /* a function it is */
        symbol->st_value += to_asker;
    }
}

static void make_names_ask(void)
{
#define IS_OWN(family)                                                                     \
    ((family) == FAMILY_PTHREAD || (family) == FAMILY_KEYS || (family) == FAMILY_LOADER || \
     (family) == FAMILY_LOOKUP || (family) == FAMILY_SANDBOX || (family) == FAMILY_UCONTEXT)
#define HOOK(family, ret, name, params) +IS_OWN(FAMILY_##family)
    enum {
        OWN = 0
#include "interpose/hooks.def"
    };
#undef HOOK
#define HOOK(family, ret, name, params)                                                \
    _Static_assert(IS_OWN(FAMILY_##family) == ((unsigned)HOOK_##name < (unsigned)OWN), \
                   #name ": what the C library has stands first in hooks.def");
#include "interpose/hooks.def"
#undef HOOK
    /* One comparison a symbol: each start that carries passes hundreds of them. */
    const size_t row = is_without_threads ? 0 : OWN;
    const ElfW(Addr)
        first = (ElfW(Addr))(hook_exports + row * HOOK_STRIDE) - (ElfW(Addr)) & __ehdr_start,
        length = (ElfW(Addr))(HOOK_COUNT - row) * HOOK_STRIDE,
        to_asker = (ElfW(Addr))hook_askers - (ElfW(Addr))hook_exports;
    elf_sym *symbol = early_names.symbols + early_names.first,
            *end = early_names.symbols + early_names.end;

    for (; end - symbol >= 4; symbol += 4) {
        make_ask(&symbol[0], first, length, to_asker);
        make_ask(&symbol[1], first, length, to_asker);
        make_ask(&symbol[2], first, length, to_asker);
        make_ask(&symbol[3], first, length, to_asker);
    }
    for (; symbol < end; symbol++)
        make_ask(symbol, first, length, to_asker);
}

static bool idle(void)
{
    return true;
}

static bool not_idle(void)
{
    return false;
}

/* False: nobody will know what came with the program. */
static bool list_modules(struct tables *self)
{
    const struct link_map *last = NULL;
    bool has_self = false, is_in_front = false;

    for (const struct link_map *map = _r_debug.r_map; map; map = map->l_next) {
        last = map;
        if (map->l_ld == _DYNAMIC) {
            has_self = true;
            early_read_tables(map, self);
            continue;
        }
        is_in_front |= has_self && map->l_addr == _r_debug.r_ldbase;
        if (early_count == EARLY_MODULES_MAX)
            return false;
        early_read_tables(map, early_module(early_count++));
    }
    /* Else it was opened by the program, which has been running. */
    if (is_in_front)
        elf_startup_last = last;
    return is_in_front;
}

/*
 * Done at every start, also where there is nothing to do. The compiler must not know what the pointers
 * are: a constant of two addresses would lie in memory whose relocations are not applied yet (gcc 14 makes one).
 */
static void fill_table(void)
{
    enum { STRIDE = HOOK_STRIDE, AT_ONCE = 8 };
    const pair next = {2 * STRIDE, 2 * STRIDE}, step = {AT_ONCE * STRIDE, AT_ONCE * STRIDE};
    uintptr_t first = (uintptr_t)hook_stubs;
    pair a, b, c, d; /* each counted up by itself: two instructions a pair */
    unsigned i = 0;

    arch_forget(first);
    a = (pair){first, first + STRIDE};
    b = a + next;
    c = b + next;
    d = c + next;
#pragma GCC unroll 4
    for (; i + AT_ONCE <= HOOK_COUNT; i += AT_ONCE) {
        *(pair *)(void *)&hook_enter[i] = a;
        *(pair *)(void *)&hook_enter[i + 2] = b;
        *(pair *)(void *)&hook_enter[i + 4] = c;
        *(pair *)(void *)&hook_enter[i + 6] = d;
        a += step, b += step, c += step, d += step;
    }
    for (; i < HOOK_COUNT; i++)
        hook_enter[i] = (char *)first + (size_t)i * STRIDE;
}

__attribute__((used)) static bool (*begin(void))(void)
{
    struct tables self = {.gnu = NULL};
    bool is_used;

    deferred_apply_thread();
    fill_table();
    if (!list_modules(&self) || !self.gnu) {
        deferred_apply();
        return not_idle;
    }
    note_own_names(&self);
    is_used = is_configured();
    for (unsigned i = 0; i < early_count; i++)
        is_used |= early_look_at_references(early_module(i), &self);
    if (is_used || !early_names.is_writable)
        deferred_apply_first();
    if (is_used) {
        look_at_libc();
        if (baton_relocated)
            baton_relocated();
    }
    if (!early_names.is_writable) {
        count_own_names(&self);
        return not_idle;
    }
    if (!is_used) {
        hide_names();
        hooks_are_idle = true;
        return idle;
    }
    count_own_names(&self);
    make_names_ask();
    return not_idle;
}

bool early_is_idle(void) __attribute__((ifunc("begin")));
