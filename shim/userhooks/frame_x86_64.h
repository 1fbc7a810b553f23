/* What the thunks push, x86-64, System V. The offsets stand in thunks_x86_64.S too. */
#ifndef BATON_USERHOOKS_FRAME_X86_64_H
#define BATON_USERHOOKS_FRAME_X86_64_H

#include <stdint.h>

/* Plain words are moved without the vector state saved (thunk_words_x86_64.S). */
#define THUNK_WORDS true

struct thunk_frame {
    uint64_t rax, rdi, rsi, rdx, rcx, r8, r9, r10, r11; /* the arguments in a row */
    uint64_t rbp;
    uint64_t offset; /* which thunk: where it lies among all */
    void *caller;    /* return address */
    uint64_t stack[];
};

enum {
    FRAME_POINTER = 6,        /* the DWARF number of rbp */
    FRAME_BELOW_POINTER = 72, /* from the frame pointer down to the frame */
    THUNK_SIZE = 16,          /* bytes of code of one thunk */
};

static inline __attribute__((always_inline)) uint64_t *frame_argument(struct thunk_frame *frame,
                                                                      unsigned position)
{
    return &frame->rax + position;
}

static inline __attribute__((always_inline)) uint64_t *frame_result(struct thunk_frame *frame,
                                                                    bool is_second)
{
    return is_second ? &frame->rdx : &frame->rax;
}

#endif
