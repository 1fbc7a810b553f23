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

#include "elf/elf.h"
#include "base/log.h"
#include "elf/pointers.h"
#include "interpose/next.h"
#include "userhooks/core.h"
#include "userhooks/object.h"
#include "userhooks/got.h"
#include "userhooks/rows.h"

void *(*named_real_dlsym)(void *handle, const char *name);

static bool is_in(const struct elf_module *module, const void *address)
{
    return (uintptr_t)address >= module->lo && (uintptr_t)address < module->hi;
}

/* What the pointer leads to, or would once the lazy binder has run. */
static void *target_of(const struct elf_module *module, const struct elf_pointer *pointer,
                       void *value)
{
    struct elf_module owner;

    if (elf_pointer_is_lazy(module, pointer, value))
        return next_find_for(pointer->name, (const void *)module->lo);
    /* The generated object's jump knows no copy: this module's own scope does. */
    if (elf_module_at(value, &owner) && named_is_generated(&owner))
        return next_find_for(pointer->name, (const void *)module->lo);
    return value;
}

static void patch_pointer(const struct elf_module *module, unsigned row,
                          const struct elf_pointer *pointer)
{
    void *value = __atomic_load_n(pointer->place, __ATOMIC_ACQUIRE), *target;
    struct named_hook *hook = thunks[row].hook;
    unsigned index;

    if (!value || thunk_is_ours(value))
        return;
    target = target_of(module, pointer, value);
    if (!target || thunk_is_ours(target) || !named_accepts(row, target))
        return;
    index = named_thunk(row, target);
    if (index < THUNKS &&
        elf_pointer_write(module, pointer->place, thunk_address(index, spec_wraps(&hook->spec)))) {
        hook->places++;
        log_msg(LOG_LEVEL_DEBUG, "%s: hooked a pointer in %s", hook->spec.item, module->name);
    }
}

/* Pointers to named functions are also had from dlsym, which is called after every dlopen anyway. */
static void patch_dlsym(const struct elf_module *module, void **place)
{
    void *value = __atomic_load_n(place, __ATOMIC_ACQUIRE);

    if (value && value != thunk_dlsym && named_real_dlsym)
        elf_pointer_write(module, place, thunk_dlsym);
}

/* A pointer of a module that is being relocated is left alone: the page would be made read-only under the loader. */
static bool visit_pointer(const struct elf_module *module, const struct elf_pointer *pointer,
                          void *arg)
{
    bool is_dlsym = !strcmp(pointer->name, "dlsym"), *are_all_relocated = arg;
    unsigned row = named_row(pointer->name);

    if (!is_dlsym && row >= THUNKS)
        return true;
    if (!elf_pointer_is_relocated(module, pointer->place))
        return *are_all_relocated = false;
    if (is_dlsym)
        patch_dlsym(module, pointer->place);
    for (; row < THUNKS; row = named_next_row(row)) {
        if (named_uses_got(row))
            patch_pointer(module, row, pointer);
    }
    return true;
}

static int patch_module(const struct elf_module *module, void *arg)
{
    if (!is_in(module, patch_module) && !named_is_generated(module))
        elf_each_pointer(module, visit_pointer, arg);
    return 0;
}

bool got_patch_modules(void)
{
    int saved_errno = errno;
    bool are_all_relocated = true;

    elf_each_module(patch_module, &are_all_relocated);
    errno = saved_errno;
    return are_all_relocated;
}
