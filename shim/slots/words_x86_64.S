/*
 * Moving plain thread-local words in straight lines: no loop, no count, no register of the caller's
 * but the shape below. A walk is entered where as many pieces follow as there are (words.c looks that
 * up once), and each kind of piece ends with a jump to the next kind that there is. The words that
 * stand alone come last.
 *
 * r8: where the values end, rbx: where the saved values end; lost: rax, r9, r10, r11, xmm0 to xmm2 and
 * the flags. Called from words_move.h. Words that stand alone lie at the end of a block of values,
 * the last one first; all else lies in it as it lies in memory, at one distance (words_mirror) from its
 * place.
 */

/* The walk NAME of COUNT pieces `PIECE n`, n counting down; NAME_walks[COUNT - n]: where n of them
 * begin, from NAME_walks. */
.macro  walk    name, count, piece:vararg
        .pushsection .rodata.words, "a", @progbits
        .p2align 2
        .globl  \name\()_walks
        .hidden \name\()_walks
        .type   \name\()_walks, @object
\name\()_walks:
        .popsection
        .set    n, \count
        .rept   \count
        .set    n, n - 1
1:
        .pushsection .rodata.words, "a", @progbits
        .long   1b - \name\()_walks
        .popsection
        \piece
        .endr
        .pushsection .rodata.words, "a", @progbits
        .size   \name\()_walks, . - \name\()_walks
        .popsection
.endm

/* ---- words that stand alone ---- */

.macro  attach_alone
        movq    words_alone + 8 * n(%rip), %rax
        movq    %fs:(%rax), %r10
        movq    %r10, -8 * (n + 1)(%rbx)
        movq    -8 * (n + 1)(%r8), %r10
        movq    %r10, %fs:(%rax)
.endm
.macro  detach_alone
        movq    words_alone + 8 * n(%rip), %rax
        movq    -8 * (n + 1)(%rbx), %r10
        movq    %r10, %fs:(%rax)
.endm
.macro  same_alone
        movq    words_alone + 8 * n(%rip), %rax
        movq    -8 * (n + 1)(%r8), %r10
        cmpq    %r10, %fs:(%rax)
        jne     words_ret
.endm

/* ---- all else, as it lies in memory: r11 values, r9 saved values, both less the place ---- */

.macro  mirror  from, to
        movq    words_mirror(%rip), \to
        addq    \from, \to
.endm
.macro  attach_mirrored table, move
        movq    \table + 8 * n(%rip), %rax
        \move   %fs:(%rax), %xmm0
        \move   %xmm0, (%r9, %rax)
        \move   (%r11, %rax), %xmm0
        \move   %xmm0, %fs:(%rax)
.endm
.macro  detach_mirrored table, move
        movq    \table + 8 * n(%rip), %rax
        \move   (%r9, %rax), %xmm0
        \move   %xmm0, %fs:(%rax)
.endm
.macro  same_mirrored table, move, compare, register
        movq    \table + 8 * n(%rip), %rax
        \move   (%r11, %rax), \register
        \compare \register, %fs:(%rax)
        jne     words_ret
.endm
.macro  same_pair
        movq    words_pairs + 8 * n(%rip), %rax
        movups  (%r11, %rax), %xmm0
        movups  %fs:(%rax), %xmm1
        pcmpeqb %xmm1, %xmm0
        pand    %xmm0, %xmm2
.endm
.macro  same_pairs_end
        pmovmskb %xmm2, %eax
        cmpl    $0xffff, %eax
        jne     words_ret
.endm

/* ---- one row and nothing else, that ends at rax: the odd word in front, then pairs ---- */

.macro  attach_row_odd
        movq    words_odd(%rip), %r11
        movq    %fs:(%rax, %r11), %r10
        movq    %r10, (%rbx, %r11)
        movq    (%r8, %r11), %r10
        movq    %r10, %fs:(%rax, %r11)
.endm
.macro  detach_row_odd
        movq    words_odd(%rip), %r11
        movq    (%rbx, %r11), %r10
        movq    %r10, %fs:(%rax, %r11)
.endm
.macro  same_row_odd
        movq    words_odd(%rip), %r11
        movq    (%r8, %r11), %r10
        cmpq    %r10, %fs:(%rax, %r11)
        jne     words_ret
.endm

.macro  attach_row_pair
        movups  %fs:-16 * (n + 1)(%rax), %xmm0
        movups  %xmm0, -16 * (n + 1)(%rbx)
        movups  -16 * (n + 1)(%r8), %xmm0
        movups  %xmm0, %fs:-16 * (n + 1)(%rax)
.endm
.macro  detach_row_pair
        movups  -16 * (n + 1)(%rbx), %xmm0
        movups  %xmm0, %fs:-16 * (n + 1)(%rax)
.endm
.macro  same_row_pair
        movups  -16 * (n + 1)(%r8), %xmm0
        movups  %fs:-16 * (n + 1)(%rax), %xmm1
        pcmpeqb %xmm1, %xmm0
        pand    %xmm0, %xmm2
.endm

/* ---- the three operations ---- */

.macro  begins  name
        .globl  words_\name
        .hidden words_\name
        .type   words_\name, @function
words_\name:
        .cfi_startproc
.endm
.macro  ends    name
        .cfi_endproc
        .size   words_\name, . - words_\name
.endm

        .text
        .p2align 4
        begins  ret
        ret
        ends    ret

        begins  attach_alone
        walk    words_attach_alone, 64, attach_alone
        ret
        ends    attach_alone

        begins  attach_mirror
        mirror  %r8, %r11
        mirror  %rbx, %r9
        jmp     *words_attach_next(%rip)
        walk    words_attach_pairs, 64, attach_mirrored words_pairs, movups
        jmp     *words_attach_next + 8(%rip)
        walk    words_attach_eights, 32, attach_mirrored words_eights, movq
        jmp     *words_attach_next + 16(%rip)
        walk    words_attach_fours, 64, attach_mirrored words_fours, movd
        jmp     *words_attach_then(%rip)
        ends    attach_mirror

        begins  attach_row_odd
        movq    words_row(%rip), %rax
        attach_row_odd
        jmp     *words_attach_then(%rip)
        ends    attach_row_odd

        begins  attach_row
        movq    words_row(%rip), %rax
        jmp     *words_attach_then(%rip)
        walk    words_attach_row, 64, attach_row_pair
        ret
        ends    attach_row

        begins  detach_alone
        walk    words_detach_alone, 64, detach_alone
        ret
        ends    detach_alone

        begins  detach_mirror
        mirror  %rbx, %r9
        jmp     *words_detach_next(%rip)
        walk    words_detach_pairs, 64, detach_mirrored words_pairs, movups
        jmp     *words_detach_next + 8(%rip)
        walk    words_detach_eights, 32, detach_mirrored words_eights, movq
        jmp     *words_detach_next + 16(%rip)
        walk    words_detach_fours, 64, detach_mirrored words_fours, movd
        jmp     *words_detach_then(%rip)
        ends    detach_mirror

        begins  detach_row_odd
        movq    words_row(%rip), %rax
        detach_row_odd
        jmp     *words_detach_then(%rip)
        ends    detach_row_odd

        begins  detach_row
        movq    words_row(%rip), %rax
        jmp     *words_detach_then(%rip)
        walk    words_detach_row, 64, detach_row_pair
        ret
        ends    detach_row

        /* Zero flag: the same. */
        begins  same_alone
        walk    words_same_alone, 64, same_alone
        ret
        ends    same_alone

        begins  same_mirror
        mirror  %r8, %r11
        pcmpeqd %xmm2, %xmm2
        jmp     *words_same_next(%rip)
        walk    words_same_pairs, 64, same_pair
        same_pairs_end
        jmp     *words_same_next + 8(%rip)
        walk    words_same_eights, 32, same_mirrored words_eights, movq, cmpq, %r10
        jmp     *words_same_next + 16(%rip)
        walk    words_same_fours, 64, same_mirrored words_fours, movl, cmpl, %r10d
        jmp     *words_same_then(%rip)
        ends    same_mirror

        begins  same_row_odd
        movq    words_row(%rip), %rax
        pcmpeqd %xmm2, %xmm2
        same_row_odd
        jmp     *words_same_then(%rip)
        ends    same_row_odd

        begins  same_row
        movq    words_row(%rip), %rax
        pcmpeqd %xmm2, %xmm2
        jmp     *words_same_then(%rip)
        walk    words_same_row, 64, same_row_pair
        same_pairs_end
        ret
        ends    same_row

        .section .note.GNU-stack, "", @progbits
