/*
 * The exported names. AArch64, AAPCS64.
 *
 * NAME jumps through its entry's `enter`; until the first call that is first_NAME, which saves
 * every register that can carry an argument, asks hooks_first where to go, and goes there, so a
 * call of any signature passes unchanged. No frame remains, and the body sees the real caller.
 * x16 and x17 are free at every call that the loader resolves. `hint 34` is bti c.
 *
 * Where handoffs are observed the jump goes to seen_NAME, which writes down who calls what
 * (hook_call) and goes on to the body.
 */
        .set    hook_id, 0

.macro hook_jump name
        .text
        .p2align 4
        .globl  \name
        .type   \name, %function
\name:
        .cfi_startproc
        hint    34
        adrp    x16, hook_enter + 8 * hook_id
        ldr     x16, [x16, :lo12:hook_enter + 8 * hook_id]
        br      x16
        .cfi_endproc
        .size   \name, . - \name

        .type   first_\name, %function
first_\name:
        .cfi_startproc
        hint    34
        mov     w16, hook_id
        b       hook_first
        .cfi_endproc
        .size   first_\name, . - first_\name

        .section .data.rel.local.hooks, "aw", %progbits
        .xword  first_\name
        .section .rodata.hooks, "a", %progbits
        .word   hook_\name - hook_bodies

        .section .text.hooks_seen, "ax", %progbits
        .type   seen_\name, %function
seen_\name:
        .cfi_startproc
        hint    34
        adrp    x17, :gottprel:hook_call
        ldr     x17, [x17, :gottprel_lo12:hook_call]
        mrs     x16, tpidr_el0
        add     x17, x17, x16
        mov     x16, sp
        stp     x30, x16, [x17]
        str     x29, [x17, 16]
        mov     w16, hook_id
        str     w16, [x17, 24]
        b       hook_\name
        .cfi_endproc
        .size   seen_\name, . - seen_\name

        .section .rodata.hooks_seen, "a", %progbits
        .word   seen_\name - hook_seen_bodies
        .set    hook_id_\name, hook_id
        .set    hook_id, hook_id + 1
.endm

/*
 * A body that only takes note and goes on by a jump to where the note says, mostly the real
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

        .section .data.rel.local.hooks, "aw", %progbits
        .p2align 4
        .globl  hook_enter
        .hidden hook_enter
hook_enter:
        .section .rodata.hooks, "a", %progbits
        .p2align 2
        .globl  hook_bodies
        .hidden hook_bodies
hook_bodies:

        .section .rodata.hooks_seen, "a", %progbits
        .p2align 2
        .globl  hook_seen_bodies
        .hidden hook_seen_bodies
hook_seen_bodies:

#define HOOK(family, ret, name, params) hook_jump name
#include "interpose/hooks.def"

/* x0 to x8 and v0 to v7 carry arguments and the place of a result; x30 is the program's caller. */
        .text
        .p2align 4
        .type   hook_first, %function
hook_first:
        .cfi_startproc
        stp     x29, x30, [sp, -224]!
        .cfi_def_cfa_offset 224
        .cfi_offset x29, -224
        .cfi_offset x30, -216
        mov     x29, sp
        stp     x0, x1, [sp, 16]
        stp     x2, x3, [sp, 32]
        stp     x4, x5, [sp, 48]
        stp     x6, x7, [sp, 64]
        str     x8, [sp, 80]
        stp     q0, q1, [sp, 96]
        stp     q2, q3, [sp, 128]
        stp     q4, q5, [sp, 160]
        stp     q6, q7, [sp, 192]
        mov     w0, w16
        mov     x1, x30
        bl      hooks_first
        mov     x16, x0
        ldp     x0, x1, [sp, 16]
        ldp     x2, x3, [sp, 32]
        ldp     x4, x5, [sp, 48]
        ldp     x6, x7, [sp, 64]
        ldr     x8, [sp, 80]
        ldp     q0, q1, [sp, 96]
        ldp     q2, q3, [sp, 128]
        ldp     q4, q5, [sp, 160]
        ldp     q6, q7, [sp, 192]
        ldp     x29, x30, [sp], 224
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        br      x16
        .cfi_endproc
        .size   hook_first, . - hook_first

        hook_note dlopen, loader_note_dlopen
        hook_note dlmopen, loader_note_dlmopen
        hook_note dlsym, loader_note_dlsym
        hook_note dlvsym, loader_note_dlvsym

        .section .note.GNU-stack, "", %progbits
