/*
 * The exported names. AArch64, AAPCS64.
 *
 * NAME jumps through its entry's `enter`; until the first call that is a stub, which saves
 * every register that can carry an argument, asks hooks_first where to go, and goes there, so a
 * call of any signature passes unchanged. No frame remains, and the body sees the real caller.
 * x16 and x17 are free at every call that the loader resolves. `hint 34` is bti c.
 *
 * Where handoffs are observed the jump goes to seen_NAME, which writes down which caller calls what
 * (hook_call) and goes on to the body.
 */
        .set    HOOK_COUNT, 0
#define HOOK(family, ret, name, params) .set HOOK_COUNT, HOOK_COUNT + 1
#include "interpose/hooks.def"
#undef HOOK

        .macro  hook_jump name
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
        .set    hook_id_\name, hook_id
        .set    hook_id, hook_id + 1
        .endm

        .macro  hook_stub name
        .p2align 4
        .cfi_startproc
        hint    34
        mov     w16, hook_id_\name
        b       hook_first
        .cfi_endproc
        .endm

        .macro  hook_body name
        .word   hook_\name - hook_bodies
        .endm

        .macro  hook_seen name
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
        mov     w16, hook_id_\name
        str     w16, [x17, 24]
        b       hook_\name
        .cfi_endproc
        .size   seen_\name, . - seen_\name

        .section .rodata.hooks_seen, "a", %progbits
        .word   seen_\name - hook_seen_bodies
        .endm

        .section .data.rel.hooks, "aw", %progbits
        .p2align 4
        .globl  hook_enter
        .hidden hook_enter
hook_enter:
        .skip   8 * HOOK_COUNT

/* What is exported, HOOK_STRIDE bytes each, in the order of the table. */
        .text
        .p2align 4
        .globl  hook_exports
        .hidden hook_exports
hook_exports:
        .set    hook_id, 0
#define HOOK(family, ret, name, params) hook_jump name
#include "interpose/hooks.def"
#undef HOOK

/* Where they lead until the first call; likewise. */
        .p2align 4
        .globl  hook_stubs
        .hidden hook_stubs
hook_stubs:
#define HOOK(family, ret, name, params) hook_stub name
#include "interpose/hooks.def"
#undef HOOK

        .section .rodata.hooks, "a", %progbits
        .p2align 2
        .globl  hook_bodies
        .hidden hook_bodies
hook_bodies:
#define HOOK(family, ret, name, params) hook_body name
#include "interpose/hooks.def"
#undef HOOK

        .section .rodata.hooks_seen, "a", %progbits
        .p2align 2
        .globl  hook_seen_bodies
        .hidden hook_seen_bodies
hook_seen_bodies:
#define HOOK(family, ret, name, params) hook_seen name
#include "interpose/hooks.def"
#undef HOOK

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

        .section .note.GNU-stack, "", %progbits
