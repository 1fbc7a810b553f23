/* The auxiliary vector behind the environment. Threads that come at the same time write the same. */
#include "base/auxv.h"

#include <link.h>
#include <stddef.h>

#include "base/arch.h"

ARCH_WRITTEN_EARLY const long *auxv_stack;

static const ElfW(auxv_t) * noted;

unsigned long auxv_get(unsigned long type)
{
    const ElfW(auxv_t) *entry = __atomic_load_n(&noted, __ATOMIC_RELAXED);

    if (!entry) {
        const long *word = auxv_stack;

        if (!word)
            return getauxval(type);
        word += 1 + word[0] + 1; /* the number of arguments, they, NULL */
        while (*word++)
            ;
        while (!*word) /* what unsetenv leaves; no entry but the last is of type 0 */
            word++;
        entry = (const ElfW(auxv_t) *)(const void *)word;
        __atomic_store_n(&noted, entry, __ATOMIC_RELAXED);
    }
    for (; entry->a_type != AT_NULL; entry++) {
        if (entry->a_type == type)
            return entry->a_un.a_val;
    }
    return 0;
}
