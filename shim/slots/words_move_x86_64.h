/* words_move.h on x86-64: the walks of words_x86_64.S. */
#ifndef BATON_SLOTS_WORDS_MOVE_X86_64_H
#define BATON_SLOTS_WORDS_MOVE_X86_64_H

enum { WORDS_ALONE_MAX = 64, WORDS_PAIRS_MAX = 64, WORDS_EIGHTS_MAX = 32, WORDS_FOURS_MAX = 64 };

/* Where the walk through each operation's pieces begins, set once by words_init. */
extern const void *words_exchange_begin __attribute__((visibility("hidden")));
extern const void *words_write_begin __attribute__((visibility("hidden")));
extern const void *words_same_begin __attribute__((visibility("hidden")));

/* Whoever uses these is compiled without a red zone (Makefile): a call is made in its frame. */
#define WORDS_USED "rax", "r10", "xmm0", "xmm1", "xmm2", "memory"

static inline __attribute__((always_inline)) void words_quick_exchange(const void *values,
                                                                       void *saved)
{
    register const void *from __asm__("r8") = values;
    register void *to __asm__("r9") = saved;

    __asm__ volatile("call *%[walk]"
                     : "+r"(from), "+r"(to)
                     : [walk] "m"(words_exchange_begin)
                     : WORDS_USED, "cc");
}

static inline __attribute__((always_inline)) void words_quick_write(const void *values)
{
    register const void *from __asm__("r8") = values;

    __asm__ volatile("call *%[walk]"
                     : "+r"(from)
                     : [walk] "m"(words_write_begin)
                     : WORDS_USED, "cc");
}

static inline __attribute__((always_inline)) bool words_quick_same(const void *values)
{
    register const void *from __asm__("r8") = values;
    bool is_same;

    __asm__ volatile("call *%[walk]"
                     : "=@ccz"(is_same), "+r"(from)
                     : [walk] "m"(words_same_begin)
                     : WORDS_USED);
    return is_same;
}

#endif
