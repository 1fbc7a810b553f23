/*
 * The walks of words_x86_64.S, where values end in %rdi and saved ones in %rsi, with the vector registers that they lose kept:
 * these have no upper half that the walks could lose, because they are of SSE. %al: 1 where same found no difference.
 */
        .text
.macro words_walk name
        .p2align 4
        .globl  thunk_words_\name
        .hidden thunk_words_\name
        .type   thunk_words_\name, @function
thunk_words_\name:
        .cfi_startproc
        pushq   %rbx
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbx, 0
        subq    $48, %rsp
        .cfi_adjust_cfa_offset 48
        movups  %xmm0, (%rsp)
        movups  %xmm1, 16(%rsp)
        movups  %xmm2, 32(%rsp)
        movq    %rdi, %r8
        movq    %rsi, %rbx
        call    *words_\name\()_begin(%rip)
        sete    %al
        movups  (%rsp), %xmm0
        movups  16(%rsp), %xmm1
        movups  32(%rsp), %xmm2
        addq    $48, %rsp
        .cfi_adjust_cfa_offset -48
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore %rbx
        ret
        .cfi_endproc
        .size   thunk_words_\name, . - thunk_words_\name
.endm
        words_walk attach
        words_walk detach
        words_walk same

        .section .note.GNU-stack, "", @progbits
