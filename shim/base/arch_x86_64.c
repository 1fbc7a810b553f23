/*
 * Where a handler that was asked of the kernel itself returns to.
 *
 * Unwinders and debuggers know it by its bytes, which are those of glibc's, in code that no unwind information
 * describes, nor the byte before it.
 */
#include "base/arch.h"

__asm__(".pushsection .text.arch_signal_return,\"ax\",%progbits\n"
        ".p2align 4\n"
        "    nop\n"
        ".hidden arch_signal_return\n"
        ".globl arch_signal_return\n"
        ".type arch_signal_return, %function\n"
        "arch_signal_return:\n"
        "    movq $15, %rax\n" /* rt_sigreturn */
        "    syscall\n"
        ".size arch_signal_return, . - arch_signal_return\n"
        ".popsection\n");
