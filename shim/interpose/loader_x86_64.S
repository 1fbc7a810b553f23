/*
 * The bodies of the loader's functions. x86-64, System V.
 *
 * Each only takes note and goes on by a jump to where the note says, mostly the real
 * function: the C library's dlopen and dlsym look at their return address to know whose search path
 * and scope are meant. The note gets the arguments, in the fourth the caller's address.
 */
.macro hook_note name, note
        .text
        .p2align 4
        .globl  hook_\name
        .hidden hook_\name
        .type   hook_\name, @function
hook_\name:
        .cfi_startproc
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        pushq   %rdx
        .cfi_adjust_cfa_offset 8
        movq    24(%rsp), %rcx
        call    \note
        popq    %rdx
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        jmp     *%rax
        .cfi_endproc
        .size   hook_\name, . - hook_\name
.endm

        hook_note dlopen, loader_note_dlopen
        hook_note dlmopen, loader_note_dlmopen
        hook_note dlsym, loader_note_dlsym
        hook_note dlvsym, loader_note_dlvsym

        .section .note.GNU-stack, "", @progbits
