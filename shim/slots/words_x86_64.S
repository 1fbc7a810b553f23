/*
 * Moving plain thread-local words in straight lines: no loop, no count, no register of the caller's
 * but the few below. A walk is entered where as many pieces follow as there are (words.c looks that
 * up once), and each kind of piece ends with a jump to the next kind that there is. The words that
 * stand alone come last.
 *
 * r8: values, r9: saved values; lost, like rax, r10, xmm0 to xmm2 and the flags. Called from words_move.h.
 * Words that stand alone are the front of a block of values; all else lies in it as it lies in
 * memory, at one distance (words_mirror) from its place.
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

.macro  exchange_alone
        movq    words_alone + 8 * n(%rip), %rax
        movq    %fs:(%rax), %r10
        movq    %r10, 8 * n(%r9)
        movq    8 * n(%r8), %r10
        movq    %r10, %fs:(%rax)
.endm
.macro  write_alone
        movq    words_alone + 8 * n(%rip), %rax
        movq    8 * n(%r8), %r10
        movq    %r10, %fs:(%rax)
.endm
.macro  same_alone
        movq    words_alone + 8 * n(%rip), %rax
        movq    8 * n(%r8), %r10
        cmpq    %r10, %fs:(%rax)
        jne     words_ret
.endm

/* ---- all else, as it lies in memory: r8 and r9 have been made to point there ---- */

.macro  mirror  register
        addq    words_mirror(%rip), \register
.endm
.macro  unmirror register
        subq    words_mirror(%rip), \register
.endm
.macro  exchange_mirrored table, move
        movq    \table + 8 * n(%rip), %rax
        \move   %fs:(%rax), %xmm0
        \move   %xmm0, (%r9, %rax)
        \move   (%r8, %rax), %xmm0
        \move   %xmm0, %fs:(%rax)
.endm
.macro  write_mirrored table, move
        movq    \table + 8 * n(%rip), %rax
        \move   (%r8, %rax), %xmm0
        \move   %xmm0, %fs:(%rax)
.endm
.macro  same_mirrored table, move, compare, register
        movq    \table + 8 * n(%rip), %rax
        \move   (%r8, %rax), \register
        \compare \register, %fs:(%rax)
        jne     words_ret
.endm
.macro  same_pair
        movq    words_pairs + 8 * n(%rip), %rax
        movups  (%r8, %rax), %xmm0
        movups  %fs:(%rax), %xmm1
        pcmpeqb %xmm1, %xmm0
        pand    %xmm0, %xmm2
.endm
.macro  same_pairs_end
        pmovmskb %xmm2, %eax
        cmpl    $0xffff, %eax
        jne     words_ret
.endm

/* ---- one row of pairs and nothing else, at rax ---- */

.macro  exchange_row_pair
        movups  %fs:16 * n(%rax), %xmm0
        movups  %xmm0, 16 * n(%r9)
        movups  16 * n(%r8), %xmm0
        movups  %xmm0, %fs:16 * n(%rax)
.endm
.macro  write_row_pair
        movups  16 * n(%r8), %xmm0
        movups  %xmm0, %fs:16 * n(%rax)
.endm
.macro  same_row_pair
        movups  16 * n(%r8), %xmm0
        movups  %fs:16 * n(%rax), %xmm1
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

        begins  exchange_alone
        walk    words_exchange_alone, 64, exchange_alone
        ret
        ends    exchange_alone

        begins  exchange_mirror
        mirror  %r8
        mirror  %r9
        jmp     *words_exchange_next(%rip)
        walk    words_exchange_pairs, 64, exchange_mirrored words_pairs, movups
        jmp     *words_exchange_next + 8(%rip)
        walk    words_exchange_eights, 32, exchange_mirrored words_eights, movq
        jmp     *words_exchange_next + 16(%rip)
        walk    words_exchange_fours, 64, exchange_mirrored words_fours, movd
        jmp     *words_exchange_then(%rip)
        ends    exchange_mirror

        begins  exchange_unmirror
        unmirror %r8
        unmirror %r9
        jmp     *words_exchange_last(%rip)
        ends    exchange_unmirror

        begins  exchange_row
        movq    words_row(%rip), %rax
        jmp     *words_exchange_then(%rip)
        walk    words_exchange_row, 64, exchange_row_pair
        ret
        ends    exchange_row

        begins  write_alone
        walk    words_write_alone, 64, write_alone
        ret
        ends    write_alone

        begins  write_mirror
        mirror  %r8
        jmp     *words_write_next(%rip)
        walk    words_write_pairs, 64, write_mirrored words_pairs, movups
        jmp     *words_write_next + 8(%rip)
        walk    words_write_eights, 32, write_mirrored words_eights, movq
        jmp     *words_write_next + 16(%rip)
        walk    words_write_fours, 64, write_mirrored words_fours, movd
        jmp     *words_write_then(%rip)
        ends    write_mirror

        begins  write_unmirror
        unmirror %r8
        jmp     *words_write_last(%rip)
        ends    write_unmirror

        begins  write_row
        movq    words_row(%rip), %rax
        jmp     *words_write_then(%rip)
        walk    words_write_row, 64, write_row_pair
        ret
        ends    write_row

        /* Zero flag: the same. */
        begins  same_alone
        walk    words_same_alone, 64, same_alone
        ret
        ends    same_alone

        begins  same_mirror
        mirror  %r8
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

        begins  same_unmirror
        unmirror %r8
        jmp     *words_same_last(%rip)
        ends    same_unmirror

        begins  same_row
        movq    words_row(%rip), %rax
        pcmpeqd %xmm2, %xmm2
        jmp     *words_same_then(%rip)
        walk    words_same_row, 64, same_row_pair
        same_pairs_end
        ret
        ends    same_row

        .section .note.GNU-stack, "", @progbits
