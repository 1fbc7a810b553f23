/* Thread-local storage of other modules.
 *
 * Promise: an offset from the thread pointer is only given where the C library guarantees one, that
 * is, for modules loaded with the program. Guessing from addresses would be right almost always,
 * and write into foreign memory otherwise.
 */
#include "elf/elf.h"

#include <errno.h>

#include "base/arch.h"

/* The argument of the C library's own function, which the ABI fixes. */
struct elf_tls_index {
    unsigned long module, offset;
};

extern void *__tls_get_addr(struct elf_tls_index *index);

void *elf_tls_address(size_t modid, size_t offset)
{
    struct elf_tls_index index = {modid, offset};
    int saved_errno = errno;
    void *address = __tls_get_addr(&index);

    errno = saved_errno;
    return address;
}

size_t elf_tls_generation(size_t modid)
{
    uintptr_t block = (uintptr_t)elf_tls_address(modid, 0);
    const uintptr_t *table = arch_tls_table();

    /* In front of it stands how many modules it has room for. */
    if (!table || !block || table[-2] < modid || table[ELF_TLS_ENTRY * modid] != block)
        return SIZE_MAX;
    return table[0];
}

bool elf_tls_tp_offset(const struct elf_module *module, size_t offset, intptr_t *out)
{
    uintptr_t block;

    if (!module->tls_modid || !elf_module_is_startup(module))
        return false;
    block = (uintptr_t)elf_tls_address(module->tls_modid, 0);
    *out = (intptr_t)(block - (uintptr_t)arch_tp() + offset);
    return true;
}
