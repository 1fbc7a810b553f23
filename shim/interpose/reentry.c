/* Is the caller the library itself? See reentry.h. Libraries that came by dlopen are looked up at every call, because they may go. */
#include "interpose/reentry.h"

#include "elf/elf.h"
#include "base/lock.h"

static struct lock place_lock;

bool reentry_slow(struct library_place *place, const void *function, const void *caller)
{
    struct elf_module module;

    if (!elf_module_at(function, &module))
        return false;
    if (elf_module_is_startup(&module) && !atomic_load(&place->size)) {
        lock_take(&place_lock);
        if (!atomic_load(&place->size)) {
            atomic_store_explicit(&place->start, module.lo, memory_order_relaxed);
            atomic_store_explicit(&place->size, module.hi - module.lo, memory_order_release);
        }
        lock_drop(&place_lock);
    }
    return (uintptr_t)caller >= module.lo && (uintptr_t)caller < module.hi;
}

void library_look_for(struct library_named *library)
{
    struct elf_module module;

    if (elf_module_find(library->name, &module) && elf_module_is_startup(&module)) {
        lock_take(&place_lock);
        atomic_store(&library->start, module.lo);
        atomic_store(&library->size, module.hi - module.lo);
        lock_drop(&place_lock);
    }
    atomic_store_explicit(&library->is_looked_for, true, memory_order_release);
}

void reentry_fork_lock(void)
{
    lock_take_for_fork(&place_lock);
}

void reentry_fork_unlock(void)
{
    lock_drop_after_fork(&place_lock);
}
