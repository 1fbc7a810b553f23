/* The C library's own functions: the first behind this library in the order of search, by the loader's list, which calls nobody. */
#include "discover/own.h"

#include "base/auxv.h"
#include "discover/record.h"
#include "elf/elf.h"

extern void *__libc_stack_end;

void *discover_own(const char *name)
{
    if (!auxv_stack) /* by which the vector behind the environment is read, and not by getauxval */
        auxv_stack = __libc_stack_end;
    return elf_linked_after((const void *)&page, name);
}
