/* words_move.h on x86-64: the walks of words_x86_64.S, and the few shapes in line. */
#ifndef BATON_SLOTS_WORDS_MOVE_X86_64_H
#define BATON_SLOTS_WORDS_MOVE_X86_64_H

enum { WORDS_ALONE_MAX = 64, WORDS_PAIRS_MAX = 64, WORDS_EIGHTS_MAX = 32, WORDS_FOURS_MAX = 64 };

/* Shape n: n words that stand alone; above, a row of two words, of three, and so on. */
enum {
    WORDS_SHAPE_SCATTERED = 5,
    WORDS_FEW_ROW = 7,
    WORDS_FEW_MAX = WORDS_SHAPE_SCATTERED + WORDS_FEW_ROW - 1
};

/* Where the walk through each operation's pieces begins, set once by words_init. */
extern const void *words_attach_begin __attribute__((visibility("hidden")));
extern const void *words_detach_begin __attribute__((visibility("hidden")));
extern const void *words_same_begin __attribute__((visibility("hidden")));

/* From the thread pointer: the words that stand alone; the end of the only row. */
extern intptr_t words_alone[] __attribute__((visibility("hidden")));
extern intptr_t words_row __attribute__((visibility("hidden")));

typedef uint64_t words_word __attribute__((may_alias));
/* Of bytes, because that is what can be compared everywhere. */
typedef signed char words_pair __attribute__((vector_size(16), aligned(1), may_alias));
#define WORDS_CONTIGUOUS_OF(shape) ((int)(shape)-WORDS_SHAPE_SCATTERED + 1)
#define WORDS_PAIR_OF(row, i) (*(words_pair __seg_fs *)(uintptr_t)((row)-16 * (intptr_t)((i) + 1)))

/* Whoever uses these is compiled without a red zone (Makefile): a call is made in its frame. */
#define WORDS_USED "rax", "r10", "r11", "xmm0", "xmm1", "xmm2"

/* Saves what the thread has and writes the values. */
static inline __attribute__((always_inline)) void
words_attach(unsigned shape, const void *values_end, void *saved_end)
{
    if (shape == 0) {
        register const void *from __asm__("r8") = values_end;

        __asm__ volatile("call *%[walk]"
                         :
                         : [walk] "m"(words_attach_begin), "r"(from), "b"(saved_end)
                         : WORDS_USED, "r9", "memory", "cc");
    } else if (shape <= WORDS_SHAPE_SCATTERED) {
        const words_word *value = values_end;
        words_word *saved = saved_end;

#pragma GCC unroll 5
        for (int i = 0; i < (int)shape; i++) {
            intptr_t place = words_alone[i];

            saved[-1 - i] = ARCH_TP_WORD(place);
            ARCH_TP_WORD(place) = value[-1 - i];
        }
    } else {
        const words_pair *value = values_end;
        words_pair *saved = saved_end;
        intptr_t row = words_row;

#pragma GCC unroll 3
        for (int i = 0; i < WORDS_CONTIGUOUS_OF(shape) / 2; i++) {
            saved[-1 - i] = WORDS_PAIR_OF(row, i);
            WORDS_PAIR_OF(row, i) = value[-1 - i];
        }
        if (WORDS_CONTIGUOUS_OF(shape) % 2) {
            intptr_t odd = row - 8 * WORDS_CONTIGUOUS_OF(shape);

            ((words_word *)saved_end)[-WORDS_CONTIGUOUS_OF(shape)] = ARCH_TP_WORD(odd);
            ARCH_TP_WORD(odd) = ((const words_word *)values_end)[-WORDS_CONTIGUOUS_OF(shape)];
        }
    }
}

/* Writes what was saved. */
static inline __attribute__((always_inline)) void words_detach(unsigned shape,
                                                               const void *saved_end)
{
    if (shape == 0) {
        __asm__ volatile("call *%[walk]"
                         :
                         : [walk] "m"(words_detach_begin), "b"(saved_end)
                         : WORDS_USED, "r9", "memory", "cc");
    } else if (shape <= WORDS_SHAPE_SCATTERED) {
        const words_word *saved = saved_end;

#pragma GCC unroll 5
        for (int i = 0; i < (int)shape; i++)
            ARCH_TP_WORD(words_alone[i]) = saved[-1 - i];
    } else {
        const words_pair *saved = saved_end;
        intptr_t row = words_row;

#pragma GCC unroll 3
        for (int i = 0; i < WORDS_CONTIGUOUS_OF(shape) / 2; i++)
            WORDS_PAIR_OF(row, i) = saved[-1 - i];
        if (WORDS_CONTIGUOUS_OF(shape) % 2)
            ARCH_TP_WORD(row - 8 * WORDS_CONTIGUOUS_OF(shape)) =
                ((const words_word *)saved_end)[-WORDS_CONTIGUOUS_OF(shape)];
    }
}

/* The thread has the values. */
static inline __attribute__((always_inline)) bool words_unchanged(unsigned shape,
                                                                  const void *values_end)
{
    if (shape == 0) {
        register const void *from __asm__("r8") = values_end;
        bool is_same;

        __asm__ volatile("call *%[walk]"
                         : "=@ccz"(is_same)
                         : [walk] "m"(words_same_begin), "r"(from)
                         : WORDS_USED, "memory");
        return is_same;
    }
    if (shape <= WORDS_SHAPE_SCATTERED) {
        const words_word *value = values_end;

#pragma GCC unroll 5
        for (int i = 0; i < (int)shape; i++) {
            if (ARCH_TP_WORD(words_alone[i]) != value[-1 - i])
                return false;
        }
        return true;
    } else {
        const words_pair *value = values_end;
        intptr_t row = words_row;
        unsigned same_bytes;
        words_pair same = WORDS_PAIR_OF(row, 0) == value[-1];

#pragma GCC unroll 3
        for (int i = 1; i < WORDS_CONTIGUOUS_OF(shape) / 2; i++)
            same &= WORDS_PAIR_OF(row, i) == value[-1 - i];
        __asm__("pmovmskb %1, %0" : "=r"(same_bytes) : "x"(same));
        return same_bytes == 0xffff &&
               (WORDS_CONTIGUOUS_OF(shape) % 2 == 0 ||
                ARCH_TP_WORD(row - 8 * WORDS_CONTIGUOUS_OF(shape)) ==
                    ((const words_word *)values_end)[-WORDS_CONTIGUOUS_OF(shape)]);
    }
}

#endif
