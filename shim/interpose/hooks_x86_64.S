/*
 * The exported names. x86-64, System V.
 *
 * NAME jumps through its entry's `enter`; until the first call that is first_NAME, which saves
 * every register that can carry an argument, asks hooks_first where to go, and goes there, so a
 * call of any signature passes unchanged. No frame remains, and the body sees the real caller.
 *
 * Where handoffs are observed the jump goes to seen_NAME, which writes down who calls what
 * (hook_call) and goes on to the body.
 */
        .set    hook_id, 0

.macro hook_jump name
        .text
        .p2align 4
        .globl  \name
        .type   \name, @function
\name:
        jmp     *hook_enter + 8 * hook_id(%rip)
        .size   \name, . - \name

        .type   first_\name, @function
first_\name:
        .cfi_startproc
        pushq   $hook_id
        .cfi_adjust_cfa_offset 8
        jmp     hook_first
        .cfi_endproc
        .size   first_\name, . - first_\name

        .section .data.rel.local.hooks, "aw", @progbits
        .quad   first_\name
        .section .rodata.hooks, "a", @progbits
        .long   hook_\name - hook_bodies

        .section .text.hooks_seen, "ax", @progbits
        .type   seen_\name, @function
seen_\name:
        .cfi_startproc
        movq    hook_call@gottpoff(%rip), %r11
        pushq   (%rsp)
        .cfi_adjust_cfa_offset 8
        popq    %fs:(%r11)
        .cfi_adjust_cfa_offset -8
        movq    %rsp, %fs:8(%r11)
        movq    %rbp, %fs:16(%r11)
        movl    $hook_id, %fs:24(%r11)
        jmp     hook_\name
        .cfi_endproc
        .size   seen_\name, . - seen_\name

        .section .rodata.hooks_seen, "a", @progbits
        .long   seen_\name - hook_seen_bodies
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

        .section .data.rel.local.hooks, "aw", @progbits
        .p2align 4
        .globl  hook_enter
        .hidden hook_enter
hook_enter:
        .section .rodata.hooks, "a", @progbits
        .p2align 2
        .globl  hook_bodies
        .hidden hook_bodies
hook_bodies:

        .section .rodata.hooks_seen, "a", @progbits
        .p2align 2
        .globl  hook_seen_bodies
        .hidden hook_seen_bodies
hook_seen_bodies:

#define HOOK(family, ret, name, params) hook_jump name
#include "interpose/hooks.def"

        .text
        .p2align 4
        .type   hook_first, @function
hook_first:
        .cfi_startproc
        .cfi_def_cfa_offset 16
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        pushq   %rax
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        pushq   %rcx
        pushq   %r8
        pushq   %r9
        pushq   %r10
        subq    $128, %rsp
        andq    $-16, %rsp
        movups  %xmm0, 0(%rsp)
        movups  %xmm1, 16(%rsp)
        movups  %xmm2, 32(%rsp)
        movups  %xmm3, 48(%rsp)
        movups  %xmm4, 64(%rsp)
        movups  %xmm5, 80(%rsp)
        movups  %xmm6, 96(%rsp)
        movups  %xmm7, 112(%rsp)
        movl    8(%rbp), %edi
        movq    16(%rbp), %rsi
        call    hooks_first
        movq    %rax, %r11
        movups  0(%rsp), %xmm0
        movups  16(%rsp), %xmm1
        movups  32(%rsp), %xmm2
        movups  48(%rsp), %xmm3
        movups  64(%rsp), %xmm4
        movups  80(%rsp), %xmm5
        movups  96(%rsp), %xmm6
        movups  112(%rsp), %xmm7
        leaq    -64(%rbp), %rsp
        popq    %r10
        popq    %r9
        popq    %r8
        popq    %rcx
        popq    %rdx
        popq    %rsi
        popq    %rdi
        popq    %rax
        popq    %rbp
        .cfi_def_cfa %rsp, 16
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        jmp     *%r11
        .cfi_endproc
        .size   hook_first, . - hook_first

        hook_note dlopen, loader_note_dlopen
        hook_note dlmopen, loader_note_dlmopen
        hook_note dlsym, loader_note_dlsym
        hook_note dlvsym, loader_note_dlvsym

        .section .note.GNU-stack, "", @progbits
