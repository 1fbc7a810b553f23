/*
 * What a personality asks the unwinder of its frame. Rule: nothing is called by name, because there may be several unwinders.
 */
#include "context/unwind.h"

#include <stddef.h>

#include "base/arch.h"
#include "elf/elf.h"

/*
 * The frame's stack pointer at its call, from the unwinder that is running: there may be several in
 * a process (libgcc_s, LLVM's, one linked into the program), and their contexts differ. While a
 * personality runs, _Unwind_GetCFA is the canonical address of the frame that was called, in libgcc
 * (uw_identify_context relies on it) and in LLVM's libunwind (which answers its SP) alike.
 */
uintptr_t unwind_frame_sp(struct _Unwind_Context *unwinding, const void *unwinder)
{
    struct elf_module module;
    uintptr_t (*get_cfa)(struct _Unwind_Context *);

    if (!elf_module_at(unwinder, &module))
        return 0;
    get_cfa = (uintptr_t(*)(struct _Unwind_Context *))elf_dynsym(&module, "_Unwind_GetCFA");
    return get_cfa ? get_cfa(unwinding) : 0;
}

void *unwind_pinned(struct _Unwind_Context *unwinding, const void *unwinder)
{
    struct elf_module module;
    uintptr_t (*get_register)(struct _Unwind_Context *, int);

    if (!elf_module_at(unwinder, &module))
        return NULL;
    get_register =
        (uintptr_t(*)(struct _Unwind_Context *, int))elf_dynsym(&module, "_Unwind_GetGR");
    return get_register ? (void *)get_register(unwinding, ARCH_PINNED_NUMBER) : NULL;
}
