/*
 * The relative relocations that scripts/link/lighten.c has put out of the loader's sight, applied by ourselves.
 *
 * Rules: those of early.c. Threads and signal handlers may come here at once, in a program that carries
 * nothing: each writes what is not written yet, and all write the same.
 */
#include "interpose/deferred.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/arch.h"
#include "interpose/early_tables.h"

extern ElfW(Dyn) _DYNAMIC[] __attribute__((visibility("hidden")));

static ARCH_WRITTEN_EARLY bool is_applied;

struct deferred {
    const ElfW(Rela) * first, *end;
};

static struct deferred find(ElfW(Addr) base)
{
    const ElfW(Rela) *shown = NULL;
    size_t count = 0;

    for (const ElfW(Dyn) *d = _DYNAMIC; d->d_tag != DT_NULL; d++) {
        /* The loader may have added where we are. */
        if (d->d_tag == DT_RELA)
            shown = (const void *)(d->d_un.d_ptr < base ? d->d_un.d_ptr + base : d->d_un.d_ptr);
        else if (d->d_tag == BATON_DT_DEFERRED)
            count = d->d_un.d_val;
    }
    return (struct deferred){shown ? shown - count : NULL, shown};
}

void deferred_apply(void)
{
    const ElfW(Addr) base = (ElfW(Addr)) & __ehdr_start;
    struct deferred all;

    if (__atomic_load_n(&is_applied, __ATOMIC_ACQUIRE))
        return;
    all = find(base);
    for (const ElfW(Rela) *r = all.first; r < all.end; r++) {
        ElfW(Addr) *place = (ElfW(Addr) *)(base + r->r_offset), linked = (ElfW(Addr))r->r_addend,
                   now = __atomic_load_n(place, __ATOMIC_RELAXED);

        /* The linker writes nothing there, or where it thinks that we are. */
        if (!now || now == linked)
            __atomic_store_n(place, base + linked, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&is_applied, true, __ATOMIC_RELEASE);
}

void deferred_apply_first(void)
{
    const ElfW(Addr) base = (ElfW(Addr)) & __ehdr_start;
    struct deferred all;

    if (is_applied)
        return;
    all = find(base);
#pragma GCC unroll 4
    for (const ElfW(Rela) *r = all.first; r < all.end; r++)
        *(ElfW(Addr) *)(base + r->r_offset) = base + (ElfW(Addr))r->r_addend;
    is_applied = true;
}
