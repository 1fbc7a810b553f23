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

extern const struct deferred_list deferred_list;
const struct deferred_list deferred_list
    __attribute__((section(DEFERRED_SECTION), visibility("hidden"), used)) = {0};

static ARCH_WRITTEN_EARLY bool is_applied;

/* As it is in the file, and not as the compiler knows it. */
static inline const struct deferred_list *list(void)
{
    const struct deferred_list *now = &deferred_list;

    arch_forget(now);
    return now;
}

static inline const ElfW(Rela) * first(ElfW(Addr) base)
{
    return (const ElfW(Rela) *)(base + list()->at);
}

void deferred_apply_thread(void)
{
    const ElfW(Addr) base = (ElfW(Addr)) & __ehdr_start;
    const struct deferred_list *all = list();
    const ElfW(Rela) *r = first(base) + all->relative, *end = r + all->thread;
    ElfW(Addr) start;

    if (r == end)
        return;
    start = *(const ElfW(Addr) *)(base + all->thread_known) - all->thread_known_adds;
    for (; r < end; r++)
        *(ElfW(Addr) *)(base + r->r_offset) = start + (ElfW(Addr))r->r_addend;
}

void deferred_apply(void)
{
    const ElfW(Addr) base = (ElfW(Addr)) & __ehdr_start;
    const ElfW(Rela) *r = first(base), *end = r + list()->relative;

    if (__atomic_load_n(&is_applied, __ATOMIC_ACQUIRE))
        return;
    for (; r < end; r++) {
        ElfW(Addr) *place = (ElfW(Addr) *)(base + r->r_offset), linked = (ElfW(Addr))r->r_addend,
                   now = __atomic_load_n(place, __ATOMIC_RELAXED);

        /* As it is in the file. */
        if (now == linked)
            __atomic_store_n(place, base + linked, __ATOMIC_RELAXED);
    }
    __atomic_store_n(&is_applied, true, __ATOMIC_RELEASE);
}

static inline void apply(ElfW(Addr) base, const ElfW(Rela) * r)
{
    *(ElfW(Addr) *)(base + r->r_offset) += base; /* lighten.c has put there what it adds */
}

void deferred_apply_first(void)
{
    const ElfW(Addr) base = (ElfW(Addr)) & __ehdr_start;
    const ElfW(Rela) *r = first(base), *end = r + list()->relative;

    if (is_applied)
        return;
    for (; end - r >= 8; r += 8) {
        apply(base, r);
        apply(base, r + 1);
        apply(base, r + 2);
        apply(base, r + 3);
        apply(base, r + 4);
        apply(base, r + 5);
        apply(base, r + 6);
        apply(base, r + 7);
    }
    for (; r < end; r++)
        apply(base, r);
    is_applied = true;
}
