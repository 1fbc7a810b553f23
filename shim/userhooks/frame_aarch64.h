/* What the thunks push, AArch64, AAPCS64. The offsets stand in thunks_aarch64.S too. */
#ifndef BATON_USERHOOKS_FRAME_AARCH64_H
#define BATON_USERHOOKS_FRAME_AARCH64_H

#include <stdint.h>

/* Vector registers may have more than what could be saved here of those that moving words takes. */
#define THUNK_WORDS false

struct thunk_frame {
    uint64_t x[16]; /* x8: where a result that is a struct goes */
    uint64_t x18;
    uint64_t offset; /* which thunk: where it lies among all */
    uint64_t x29;
    void *caller; /* return address */
    uint64_t stack[];
};

enum {
    FRAME_POINTER = 29,        /* the DWARF number of x29 */
    FRAME_BELOW_POINTER = 144, /* from the frame pointer down to the frame */
    THUNK_SIZE = 16,           /* bytes of code of one thunk */
};

static inline __attribute__((always_inline)) uint64_t *frame_argument(struct thunk_frame *frame,
                                                                      unsigned position)
{
    return &frame->x[position - 1];
}

static inline __attribute__((always_inline)) uint64_t *frame_result(struct thunk_frame *frame,
                                                                    bool is_second)
{
    return &frame->x[is_second];
}

#endif
