/*
 * The bank: 2048 entry thunks and 2048 wrap thunks, code that is there from the start, so that no page
 * is ever both writable and executable. AArch64, AAPCS64.
 *
 * Every register that a callee may clobber is preserved, the vector registers too (functions with
 * vector arguments have a convention of their own), except x16 and x17, which any call that the
 * loader resolves may lose: functions are reached here by name or pointer only. The C behind the
 * thunks (*_gpr.c) is compiled to touch no vector register; when it needs more than that it answers 0
 * and is called again with the vector state saved (thunk_slowly). `hint 34` is bti c.
 *
 * An entry thunk leaves no frame: it ends in a jump to the real function, whose return address is
 * the program's. A wrap thunk calls the real function from a frame with unwind information and a
 * personality of its own (thunks.c), so exceptions, pthread_exit and cancellation pass.
 */
        .set    THUNK, 56               // struct thunk
        .set    thunk_offset, 0

#define ALL_PREDICATES 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
#define ALL_VECTORS ALL_PREDICATES, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31

/* struct thunk_frame; x16 is where the thunk lies among all. */
.macro push_registers
        sub     sp, sp, 160
        .cfi_def_cfa_offset 160
        stp     x29, x30, [sp, 144]
        .cfi_offset x29, -16
        .cfi_offset x30, -8
        add     x29, sp, 144
        .cfi_def_cfa x29, 16
        stp     x0, x1, [sp]
        stp     x2, x3, [sp, 16]
        stp     x4, x5, [sp, 32]
        stp     x6, x7, [sp, 48]
        stp     x8, x9, [sp, 64]
        stp     x10, x11, [sp, 80]
        stp     x12, x13, [sp, 96]
        stp     x14, x15, [sp, 112]
        stp     x18, x16, [sp, 128]
.endm

/* From x29, but for x29, x30 and the stack pointer. */
.macro load_registers
        ldp     x0, x1, [x29, -144]
        ldp     x2, x3, [x29, -128]
        ldp     x4, x5, [x29, -112]
        ldp     x6, x7, [x29, -96]
        ldp     x8, x9, [x29, -80]
        ldp     x10, x11, [x29, -64]
        ldp     x12, x13, [x29, -48]
        ldp     x14, x15, [x29, -32]
        ldr     x18, [x29, -16]
.endm

.macro pop_registers
        load_registers
        mov     sp, x29
        ldp     x29, x30, [sp], 16
        .cfi_def_cfa sp, 0
        .cfi_restore x29
        .cfi_restore x30
.endm

        .set    WRAP_SIZE, 96           // struct wrap
        .set    WRAP, -144 - WRAP_SIZE  // from x29; its target first, then stack_words

        .text
        .p2align 6
        .globl  baton_named_bank
        .globl  named_bank              /* the same, for ourselves: no look-up by name */
        .hidden named_bank
        .set    named_bank, baton_named_bank
        .type   baton_named_bank, %function
/* What the functions of the generated object jump to, by offset: see userhooks/named.h. */
baton_named_bank:
        .cfi_startproc
        .rept 2048
        hint    34
        movz    w16, thunk_offset & 0xffff
        movk    w16, thunk_offset >> 16, lsl 16
        b       entry_common
        .set    thunk_offset, thunk_offset + THUNK
        .endr
        .set    thunk_offset, 0
        .rept 2048
        hint    34
        movz    w16, thunk_offset & 0xffff
        movk    w16, thunk_offset >> 16, lsl 16
        b       wrap_common
        .set    thunk_offset, thunk_offset + THUNK
        .endr
        hint    34                      // DT_INIT of the generated object
        b       named_start_early
        .cfi_endproc
        .size   baton_named_bank, . - baton_named_bank

        .p2align 4
        .type   entry_common, %function
entry_common:
        .cfi_startproc
        push_registers
        mov     x0, sp
        adrp    x1, thunks
        add     x1, x1, :lo12:thunks
        add     x1, x1, x16
        bl      thunk_enter
        cbz     x0, 2f
1:      mov     x16, x0
        .cfi_remember_state
        pop_registers
        br      x16
        .cfi_restore_state
2:      adrp    x9, thunk_enter_slowly
        add     x9, x9, :lo12:thunk_enter_slowly
        sub     x0, x29, 144
        bl      thunk_slowly
        b       1b
        .cfi_endproc
        .size   entry_common, . - entry_common

        .p2align 4
        .type   wrap_common, %function
wrap_common:
        .cfi_startproc
        .cfi_personality 0x9b, DW.ref.thunk_personality
        push_registers
        mov     x0, sp
        sub     sp, sp, WRAP_SIZE
        mov     x1, sp
        adrp    x2, thunks
        add     x2, x2, :lo12:thunks
        add     x2, x2, x16
        bl      thunk_wrap_enter
        cbz     x0, 4f
1:      str     x0, [x29, WRAP]
        ldr     x9, [x29, WRAP + 8]
        cbnz    x9, 5f                  // words of the stack to copy; -1: leave no frame
2:      load_registers
        ldr     x16, [x29, WRAP]
        blr     x16
        stp     x0, x1, [x29, -144]
        stp     x2, x3, [x29, -128]
        stp     x4, x5, [x29, -112]
        stp     x6, x7, [x29, -96]
        stp     x8, x9, [x29, -80]
        stp     x10, x11, [x29, -64]
        stp     x12, x13, [x29, -48]
        stp     x14, x15, [x29, -32]
        str     x18, [x29, -16]
        sub     x0, x29, 144
        sub     x1, x0, WRAP_SIZE
        mov     sp, x1
        bl      thunk_wrap_leave
        tbz     w0, 0, 6f
3:      .cfi_remember_state
        pop_registers
        ret
        .cfi_restore_state
4:      adrp    x9, thunk_wrap_enter_slowly
        add     x9, x9, :lo12:thunk_wrap_enter_slowly
        sub     x0, x29, 144
        sub     x1, x0, WRAP_SIZE
        bl      thunk_slowly
        b       1b
5:      cmn     x9, 1
        b.eq    7f
        add     x10, x9, 1              // kept aligned
        and     x10, x10, -2
        sub     sp, sp, x10, lsl 3
        mov     x10, sp
        add     x11, x29, 16
8:      ldr     x12, [x11], 8
        str     x12, [x10], 8
        subs    x9, x9, 1
        b.ne    8b
        b       2b
6:      adrp    x9, thunk_wrap_leave_slowly
        add     x9, x9, :lo12:thunk_wrap_leave_slowly
        sub     x0, x29, 144
        sub     x1, x0, WRAP_SIZE
        bl      thunk_slowly
        b       3b
7:      mov     x16, x0
        .cfi_remember_state
        pop_registers
        br      x16
        .cfi_restore_state
        .cfi_endproc
        .size   wrap_common, . - wrap_common

/* Calls x9 (x0, x1, x2) with the whole vector state saved, FPCR and FPSR as the call leaves them. */
        .p2align 4
        .type   thunk_slowly, %function
thunk_slowly:
        .cfi_startproc
        stp     x29, x30, [sp, -64]!
        .cfi_def_cfa_offset 64
        .cfi_offset x29, -64
        .cfi_offset x30, -56
        mov     x29, sp
        .cfi_def_cfa_register x29
        stp     x0, x1, [sp, 16]
        stp     x2, x9, [sp, 32]
        str     x19, [sp, 48]
        .cfi_offset x19, -16
        bl      thunk_state_size
        sub     sp, sp, x0
        mov     x19, sp
        adrp    x9, thunk_state_mask
        ldr     w9, [x9, :lo12:thunk_state_mask]
        cbnz    w9, 1f
        .irp    n, ALL_VECTORS
        str     q\n, [x19, \n * 16]
        .endr
        b       2f
        .arch_extension sve
1:      addvl   x9, x19, 16             // behind the vectors: the predicates
        addvl   x9, x9, 16
        .irp    n, ALL_VECTORS
        str     z\n, [x19, \n, mul vl]
        .endr
        .irp    n, ALL_PREDICATES
        str     p\n, [x9, \n, mul vl]
        .endr
        rdffr   p0.b
        str     p0, [x9, 16, mul vl]
2:      ldp     x0, x1, [x29, 16]
        ldp     x2, x9, [x29, 32]
        blr     x9
        adrp    x9, thunk_state_mask
        ldr     w9, [x9, :lo12:thunk_state_mask]
        cbnz    w9, 1f
        .irp    n, ALL_VECTORS
        ldr     q\n, [x19, \n * 16]
        .endr
        b       2f
1:      addvl   x9, x19, 16
        addvl   x9, x9, 16
        ldr     p0, [x9, 16, mul vl]
        wrffr   p0.b
        .irp    n, ALL_VECTORS
        ldr     z\n, [x19, \n, mul vl]
        .endr
        .irp    n, ALL_PREDICATES
        ldr     p\n, [x9, \n, mul vl]
        .endr
        .arch_extension nosve
2:      ldr     x19, [x29, 48]
        mov     sp, x29
        ldp     x29, x30, [sp], 64
        .cfi_def_cfa sp, 0
        .cfi_restore x29
        .cfi_restore x30
        .cfi_restore x19
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
        .type   named_dlsym, %function
named_dlsym:
        .cfi_startproc
        hint    34
        stp     x29, x30, [sp, -32]!
        .cfi_def_cfa_offset 32
        .cfi_offset x29, -32
        .cfi_offset x30, -24
        mov     x29, sp
        stp     x0, x1, [sp, 16]
        mov     x2, x30
        bl      named_note_dlsym
        mov     x16, x0
        ldp     x0, x1, [sp, 16]
        ldp     x29, x30, [sp], 32
        .cfi_def_cfa_offset 0
        .cfi_restore x29
        .cfi_restore x30
        cbz     x16, 1f
        mov     x0, x16
        ret
1:      adrp    x16, named_real_dlsym
        ldr     x16, [x16, :lo12:named_real_dlsym]
        br      x16
        .cfi_endproc
        .size   named_dlsym, . - named_dlsym

        .section .data.rel.ro.local, "aw", %progbits
        .p2align 3
        .hidden DW.ref.thunk_personality
        .globl  DW.ref.thunk_personality
DW.ref.thunk_personality:
        .xword  thunk_personality

        .section .note.GNU-stack, "", %progbits
