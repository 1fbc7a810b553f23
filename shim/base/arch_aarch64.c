/*
 * Where longjmp would go. glibc mangles the stack pointer with a secret of its loader's (PTR_MANGLE of
 * sysdeps/unix/sysv/linux/aarch64, JB_SP is word 13). A jump buffer of ours, whose stack pointer we
 * know, tells the secret, or that there is none.
 */
#include <setjmp.h>

#include "base/arch.h"

uintptr_t arch_jump_sp(const void *environment)
{
    jmp_buf here;

    (void)_setjmp(here); /* never jumped to */
    return ((const uintptr_t *)environment)[13] ^ ((const uintptr_t *)(const void *)here)[13] ^
           arch_sp();
}
