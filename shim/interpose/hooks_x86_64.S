/*
 * The exported names. x86-64, System V.
 *
 * NAME jumps through its entry's `enter`; until the first call that is a stub, which saves
 * every register that can carry an argument, asks hooks_first where to go, and goes there, so a
 * call of any signature passes unchanged. No frame remains, and the body sees the real caller.
 * The table is filled by early.c, which costs a tenth of what the loader would take for that.
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
        .type   \name, @function
\name:
        jmp     *hook_enter + 8 * hook_id(%rip)
        .size   \name, . - \name
        .set    hook_id_\name, hook_id
        .set    hook_id, hook_id + 1
        .endm

        .macro  hook_stub name
        .p2align 4
        .cfi_startproc
        pushq   $hook_id_\name
        .cfi_adjust_cfa_offset 8
        jmp     hook_first
        .cfi_endproc
        .endm

        .macro  hook_body name
        .long   hook_\name - hook_bodies
        .endm

        .macro  hook_seen name
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
        movl    $hook_id_\name, %fs:24(%r11)
        jmp     hook_\name
        .cfi_endproc
        .size   seen_\name, . - seen_\name

        .section .rodata.hooks_seen, "a", @progbits
        .long   seen_\name - hook_seen_bodies
        .endm

        .section .data.rel.hooks, "aw", @progbits
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

        .section .rodata.hooks, "a", @progbits
        .p2align 2
        .globl  hook_bodies
        .hidden hook_bodies
hook_bodies:
#define HOOK(family, ret, name, params) hook_body name
#include "interpose/hooks.def"
#undef HOOK

        .section .rodata.hooks_seen, "a", @progbits
        .p2align 2
        .globl  hook_seen_bodies
        .hidden hook_seen_bodies
hook_seen_bodies:
#define HOOK(family, ret, name, params) hook_seen name
#include "interpose/hooks.def"
#undef HOOK

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

        .section .note.GNU-stack, "", @progbits
