/*
 * The bank: 2048 entry thunks and 2048 wrap thunks, code that is there from the start, so that no page
 * is ever both writable and executable. x86-64, System V.
 *
 * Every register that a callee may clobber is preserved, the vector registers too: a caller that was
 * compiled with -fipa-ra keeps values in registers which it knows that the function does not write.
 * The C behind the thunks (*_gpr.c) is compiled to touch no vector register; when it needs more than
 * that it answers 0 and is called again with the vector state saved (thunk_slowly).
 *
 * An entry thunk leaves no frame: it ends in a jump to the real function, whose return address is
 * the program's. The target is handed over below the stack pointer, in the red zone, which signal
 * handlers leave alone. A wrap thunk calls the real function from a frame with unwind information
 * and a personality of its own (thunks.c), so exceptions, pthread_exit and cancellation pass.
 */
        .set    THUNK, 56               # struct thunk
        .set    THUNK_ROLE, 24
        .set    ROLE_FUNCTION, 0
        .set    thunk_offset, 0

/* struct thunk_frame, top down. r11 is the thunk then. */
.macro push_first
        pushq   %rbp
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset %rbp, 0
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        pushq   %r11
        leaq    thunks(%rip), %r11
        addq    8(%rbp), %r11
.endm

.macro push_arguments
        pushq   %r10
        pushq   %r9
        pushq   %r8
        pushq   %rcx
        pushq   %rdx
        pushq   %rsi
        pushq   %rdi
        pushq   %rax
.endm

.macro pop_registers
        leaq    -72(%rbp), %rsp
        popq    %rax
        popq    %rdi
        popq    %rsi
        popq    %rdx
        popq    %rcx
        popq    %r8
        popq    %r9
        popq    %r10
        popq    %r11
        popq    %rbp
        .cfi_def_cfa %rsp, 16
        .cfi_restore %rbp
.endm

        .set    NAMED_STACK, 6
        .set    WRAP_SIZE, 96           # struct wrap
        .set    WRAP, -72 - WRAP_SIZE   # from rbp; its target first, then stack_words

        .text
        .p2align 6
        .globl  baton_named_bank
        .globl  named_bank              /* the same, for ourselves: no look-up by name */
        .hidden named_bank
        .set    named_bank, baton_named_bank
        .type   baton_named_bank, @function
/* What the functions of the generated object jump to, by offset: see userhooks/named.h. */
baton_named_bank:
        .cfi_startproc
        .rept 2048
        .cfi_def_cfa_offset 8
        endbr64
        .byte   0x68
        .long   thunk_offset
        .cfi_def_cfa_offset 16
        jmp     entry_common
        .p2align 4
        .set    thunk_offset, thunk_offset + THUNK
        .endr
        .set    thunk_offset, 0
        .rept 2048
        .cfi_def_cfa_offset 8
        endbr64
        .byte   0x68
        .long   thunk_offset
        .cfi_def_cfa_offset 16
        jmp     wrap_common
        .p2align 4
        .set    thunk_offset, thunk_offset + THUNK
        .endr
        .cfi_def_cfa_offset 8
        endbr64                         # DT_INIT of the generated object
        jmp     named_start_early
        .p2align 4
        .cfi_endproc
        .size   baton_named_bank, . - baton_named_bank

        .p2align 4
        .type   entry_common, @function
entry_common:
        .cfi_startproc
        .cfi_def_cfa_offset 16
        push_first
        push_arguments
        movq    %rsp, %rdi
        movq    %r11, %rsi
        andq    $-16, %rsp
        call    thunk_enter
        testq   %rax, %rax
        jz      2f
1:      movq    %rax, 8(%rbp)
        pop_registers
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        jmp     *-8(%rsp)
        .cfi_def_cfa %rbp, 24
        .cfi_offset %rbp, -24
2:      leaq    thunk_enter_slowly(%rip), %rax
        leaq    -72(%rbp), %rdi
        call    thunk_slowly
        jmp     1b
        .cfi_endproc
        .size   entry_common, . - entry_common

        .p2align 4
        .type   wrap_common, @function
wrap_common:
        .cfi_startproc
        .cfi_personality 0x9b, DW.ref.thunk_personality
        .cfi_def_cfa_offset 16
        push_first
        cmpb    $ROLE_FUNCTION, THUNK_ROLE(%r11)
        jne     task
        push_arguments
        leaq    WRAP(%rbp), %rsi
        movq    %rsp, %rdi
        movq    %rsi, %rsp
        andq    $-16, %rsp
        movq    %r11, %rdx
        call    thunk_wrap_enter
        testq   %rax, %rax
        jz      4f
1:      movq    %rax, WRAP(%rbp)
9:      movq    WRAP + 8(%rbp), %rcx
        cmpq    $NAMED_STACK, %rcx
        jne     5f                      # words of the stack to copy; -1: leave no frame
        pushq   24 + 40(%rbp)
        pushq   24 + 32(%rbp)
        pushq   24 + 24(%rbp)
        pushq   24 + 16(%rbp)
        pushq   24 + 8(%rbp)
        pushq   24(%rbp)
2:      movq    -72(%rbp), %rax
        movq    -64(%rbp), %rdi
        movq    -56(%rbp), %rsi
        movq    -48(%rbp), %rdx
        movq    -40(%rbp), %rcx
        movq    -32(%rbp), %r8
        movq    -24(%rbp), %r9
        movq    -16(%rbp), %r10
        movq    -8(%rbp), %r11
        call    *WRAP(%rbp)
        movq    %rax, -72(%rbp)
        movq    %rdi, -64(%rbp)
        movq    %rsi, -56(%rbp)
        movq    %rdx, -48(%rbp)
        movq    %rcx, -40(%rbp)
        movq    %r8, -32(%rbp)
        movq    %r9, -24(%rbp)
        movq    %r10, -16(%rbp)
        movq    %r11, -8(%rbp)
        leaq    -72(%rbp), %rdi
        leaq    WRAP(%rbp), %rsi
        movq    %rsi, %rsp
        andq    $-16, %rsp
        call    thunk_wrap_leave
        testb   %al, %al
        jz      6f
3:      pop_registers
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_def_cfa %rbp, 24
        .cfi_offset %rbp, -24
4:      leaq    thunk_wrap_enter_slowly(%rip), %rax
        leaq    -72(%rbp), %rdi
        leaq    WRAP(%rbp), %rsi
        call    thunk_slowly
        jmp     1b
5:      testq   %rcx, %rcx
        jz      2b
        cmpq    $-1, %rcx
        je      7f
        leaq    1(%rcx), %rax           # kept aligned
        andq    $-2, %rax
        shlq    $3, %rax
        subq    %rax, %rsp
8:      movq    16(%rbp, %rcx, 8), %rax # from 24(%rbp) on, the last first
        movq    %rax, -8(%rsp, %rcx, 8)
        decq    %rcx
        jnz     8b
        jmp     2b
6:      leaq    thunk_wrap_leave_slowly(%rip), %rax
        leaq    -72(%rbp), %rdi
        leaq    WRAP(%rbp), %rsi
        call    thunk_slowly
        jmp     3b
7:      .cfi_remember_state
        movq    %rax, 8(%rbp)
        pop_registers
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        jmp     *-8(%rsp)
        .cfi_restore_state
/*
 * A callback. Whoever calls it does so by a pointer, and relies on no register that it does not keep but those that
 * hold its answer; nobody hands it anything in r11.
 */
task:
        push_arguments
        leaq    WRAP(%rbp), %rsi
        movq    %rsp, %rdi
        movq    %rsi, %rsp
        andq    $-16, %rsp
        movq    %r11, %rdx
        call    thunk_task_enter
        testq   %rax, %rax
        jz      5f
1:      cmpq    $0, WRAP + 8(%rbp)
        jne     6f
        movq    %rax, %r11
        movq    -72(%rbp), %rax
        movq    -64(%rbp), %rdi
        movq    -56(%rbp), %rsi
        movq    -48(%rbp), %rdx
        movq    -40(%rbp), %rcx
        movq    -32(%rbp), %r8
        movq    -24(%rbp), %r9
        movq    -16(%rbp), %r10
        call    *%r11
        movq    %rax, -72(%rbp)
        movq    %rdx, -48(%rbp)
        leaq    WRAP(%rbp), %rsi
        call    thunk_task_leave
        testb   %al, %al
        jz      4f
3:      movq    -72(%rbp), %rax
        movq    -48(%rbp), %rdx
        .cfi_remember_state
        leave
        .cfi_def_cfa %rsp, 16
        .cfi_restore %rbp
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        ret
        .cfi_restore_state
4:      leaq    thunk_wrap_leave_slowly(%rip), %rax
        leaq    -72(%rbp), %rdi
        leaq    WRAP(%rbp), %rsi
        call    thunk_slowly
        jmp     3b
5:      leaq    thunk_wrap_enter_slowly(%rip), %rax
        leaq    -72(%rbp), %rdi
        leaq    WRAP(%rbp), %rsi
        call    thunk_slowly
        jmp     1b
6:      movq    %rax, WRAP(%rbp)
        jmp     9b
        .cfi_endproc
        .size   wrap_common, . - wrap_common

/*
 * Calls %rax (%rdi, %rsi, %rdx) with the whole vector state saved. What the call makes of the
 * rounding mode and its like stays: they may be what is carried.
 */
        .p2align 4
        .type   thunk_slowly, @function
thunk_slowly:
        .cfi_startproc
        pushq   %rbp
        .cfi_def_cfa_offset 16
        .cfi_offset %rbp, -16
        movq    %rsp, %rbp
        .cfi_def_cfa_register %rbp
        pushq   %rbx
        .cfi_offset %rbx, -24
        pushq   %rax
        pushq   %rdi
        pushq   %rsi
        pushq   %rdx
        andq    $-16, %rsp
        call    thunk_state_size
        subq    %rax, %rsp
        andq    $-64, %rsp
        movq    %rsp, %rbx
        movl    thunk_state_mask(%rip), %eax
        testl   %eax, %eax
        jz      1f
        xorl    %edx, %edx
        movq    %rdx, 512(%rbx)         # the header: the processor writes part of it only
        movq    %rdx, 520(%rbx)
        movq    %rdx, 528(%rbx)
        movq    %rdx, 536(%rbx)
        movq    %rdx, 544(%rbx)
        movq    %rdx, 552(%rbx)
        movq    %rdx, 560(%rbx)
        movq    %rdx, 568(%rbx)
        xsave64 (%rbx)
        jmp     2f
1:      fxsave64 (%rbx)
2:      movq    -40(%rbp), %rdx
        movq    -32(%rbp), %rsi
        movq    -24(%rbp), %rdi
        call    *-16(%rbp)
        movq    %rax, -16(%rbp)
        stmxcsr 24(%rbx)
        fnstcw  (%rbx)
        fnstsw  %ax
        andl    $0x3f, %eax
        andw    $0xffc0, 2(%rbx)
        orw     %ax, 2(%rbx)
        movl    thunk_state_mask(%rip), %eax
        testl   %eax, %eax
        jz      3f
        xorl    %edx, %edx
        orq     $1, 512(%rbx)
        xrstor64 (%rbx)
        jmp     4f
3:      fxrstor64 (%rbx)
4:      movq    -16(%rbp), %rax
        movq    -8(%rbp), %rbx
        leave
        .cfi_def_cfa %rsp, 8
        ret
        .cfi_endproc
        .size   thunk_slowly, . - thunk_slowly

/*
 * Instead of dlsym: the note may answer. If it does not, the real one sees the caller, whose place in
 * the search order RTLD_NEXT means.
 */
        .p2align 4
        .globl  named_dlsym
        .hidden named_dlsym
        .type   named_dlsym, @function
named_dlsym:
        .cfi_startproc
        pushq   %rdi
        .cfi_adjust_cfa_offset 8
        pushq   %rsi
        .cfi_adjust_cfa_offset 8
        subq    $8, %rsp
        .cfi_adjust_cfa_offset 8
        movq    24(%rsp), %rdx
        call    named_note_dlsym
        addq    $8, %rsp
        .cfi_adjust_cfa_offset -8
        popq    %rsi
        .cfi_adjust_cfa_offset -8
        popq    %rdi
        .cfi_adjust_cfa_offset -8
        testq   %rax, %rax
        jz      1f
        ret
1:      jmp     *named_real_dlsym(%rip)
        .cfi_endproc
        .size   named_dlsym, . - named_dlsym

        .section .data.rel.ro.local, "aw", @progbits
        .p2align 3
        .hidden DW.ref.thunk_personality
        .globl  DW.ref.thunk_personality
DW.ref.thunk_personality:
        .quad   thunk_personality

        .section .note.GNU-stack, "", @progbits
