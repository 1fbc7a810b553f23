/*
 * The table of shadow vtables (vtable.h).
 *
 * Chains grow at their head by compare and exchange and never shrink: a shadow may be the vptr of an
 * object for as long as the process lives. Two threads that meet a type at the same time may make two
 * shadows of it, which does no harm. A shadow is only found if what identifies the type is still what it
 * was: after dlclose another type may lie at the same address.
 */
#include "interpose/vtable.h"

#include <stdatomic.h>
#include <stdint.h>

#include "base/mem.h"
#include "elf/elf.h"

enum { BUCKETS = 256 };

static struct vtable_shadow *_Atomic buckets[BUCKETS];

static struct vtable_shadow *_Atomic *bucket_of(void *const *real)
{
    return &buckets[((uint32_t)((uintptr_t)real >> 3) * 2654435761u) >> 24];
}

/* The type information and the slots that are replaced: no two types have all of them in common. */
static bool is_current(const struct vtable_shadow *shadow)
{
    void *const *copy = shadow->words + VTABLE_BEFORE;
    const struct vtable_set *set = shadow->set;

    if (copy[-1] != shadow->real[-1])
        return false;
    for (unsigned i = 0; i < set->count; i++) {
        if (shadow->replaced[i] != shadow->real[set->replaced[i].slot])
            return false;
    }
    return true;
}

static struct vtable_shadow *find(const struct vtable_set *set, void *const *real)
{
    struct vtable_shadow *shadow = atomic_load_explicit(bucket_of(real), memory_order_acquire);

    while (shadow && (shadow->real != real || shadow->set != set || !is_current(shadow)))
        shadow = shadow->next;
    return shadow;
}

/* The words around REAL that may be read: [*low, *high). False: in no loaded module. */
static bool find_bounds(void **real, uintptr_t *low, uintptr_t *high)
{
    struct elf_module module;

    if ((uintptr_t)real % sizeof(void *) || !elf_module_at(real, &module))
        return false;
    for (size_t i = 0; i < module.phnum; i++) {
        const elf_phdr *phdr = &module.phdr[i];
        uintptr_t start = module.base + phdr->p_vaddr;

        if (phdr->p_type == PT_LOAD && phdr->p_flags & PF_R &&
            (uintptr_t)real - start < phdr->p_memsz) {
            *low = start;
            *high = start + phdr->p_memsz;
            return true;
        }
    }
    return false;
}

static bool is_code(const void *address)
{
    struct elf_module module;

    return elf_module_at(address, &module) && elf_module_has_code(&module, (uintptr_t)address, 1);
}

/* Around a vtable lie other objects of its module. They are read here and not by memcpy, which in a
   program with AddressSanitizer is that library's, and takes it for a mistake of the program. */
__attribute__((no_sanitize("address"))) static void copy_words(void **to, void *volatile *from,
                                                               void *volatile *end)
{
    while (from < end)
        *to++ = *from++;
}

static struct vtable_shadow *shadow_new(const struct vtable_set *set, void **real)
{
    struct vtable_shadow *shadow;
    uintptr_t low, high, from, to;

    if (!find_bounds(real, &low, &high))
        return NULL;
    from = (uintptr_t)(real - VTABLE_BEFORE);
    to = (uintptr_t)(real + VTABLE_SLOTS);
    if (from < low || from > (uintptr_t)real)
        from = (low + sizeof(void *) - 1) & -sizeof(void *);
    if (to > high || to < (uintptr_t)real)
        to = high & -sizeof(void *);
    if (from > (uintptr_t)(real - 1)) /* no type information before it: this is no vtable */
        return NULL;
    for (unsigned i = 0; i < set->count; i++) {
        if ((uintptr_t)(real + set->replaced[i].slot + 1) > to ||
            !is_code(real[set->replaced[i].slot]))
            return NULL;
    }
    shadow = mem_alloc(sizeof *shadow);
    if (!shadow)
        return NULL;
    shadow->set = set;
    shadow->real = real;
    copy_words((void **)((char *)(shadow->words + VTABLE_BEFORE) - ((uintptr_t)real - from)),
               (void **)from, (void **)to);
    for (unsigned i = 0; i < set->count; i++) {
        shadow->replaced[i] = real[set->replaced[i].slot];
        shadow->words[VTABLE_BEFORE + set->replaced[i].slot] = set->replaced[i].function;
    }
    return shadow;
}

void **vtable_shadow(const struct vtable_set *set, void **real)
{
    struct vtable_shadow *_Atomic *bucket = bucket_of(real);
    struct vtable_shadow *shadow = find(set, real);

    if (!shadow) {
        shadow = shadow_new(set, real);
        if (!shadow)
            return NULL;
        shadow->next = atomic_load_explicit(bucket, memory_order_relaxed);
        while (!atomic_compare_exchange_weak_explicit(bucket, &shadow->next, shadow,
                                                      memory_order_release, memory_order_relaxed)) {
        }
    }
    return shadow->words + VTABLE_BEFORE;
}
