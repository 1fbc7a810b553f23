/*
 * The bodies of the loader's functions. AArch64, AAPCS64.
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
        .type   hook_\name, %function
hook_\name:
        .cfi_startproc
        hint    34
        stp     x29, x30, [sp, -48]!
        .cfi_def_cfa_offset 48
        .cfi_offset x29, -48
        .cfi_offset x30, -40
        mov     x29, sp
        stp     x0, x1, [sp, 16]
        str     x2, [sp, 32]
        mov     x3, x30
        bl      \note
        mov     x16, x0
        ldp     x0, x1, [sp, 16]
        ldr     x2, [sp, 32]
        ldp     x29, x30, [sp], 48
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        br      x16
        .cfi_endproc
        .size   hook_\name, . - hook_\name
.endm

        hook_note dlopen, loader_note_dlopen
        hook_note dlmopen, loader_note_dlmopen
        hook_note dlsym, loader_note_dlsym
        hook_note dlvsym, loader_note_dlvsym

        .section .note.GNU-stack, "", %progbits
