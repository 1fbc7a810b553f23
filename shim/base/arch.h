/*
 * The door to everything that depends on the processor. Nothing outside the files that are named
 * for an architecture may assume registers, stack direction of a calling convention or TLS layout.
 */
#ifndef BATON_BASE_ARCH_H
#define BATON_BASE_ARCH_H

#if defined(__x86_64__)
#include "base/arch_x86_64.h"
#elif defined(__aarch64__)
#include "base/arch_aarch64.h"
#else
#error "baton: no arch header for this processor yet (see shim/base/arch_x86_64.h for the list)"
#endif

/*
 * Put this first in the body of a function that attaches a context and then calls foreign code.
 * It gives the frame a personality routine (context/unwind.c) that detaches when the frame is
 * unwound by an exception, pthread_exit or cancellation. There is no landing pad, hence no
 * _Unwind_Resume and no libgcc_s among our needed libraries; a normal return costs nothing.
 * 0x9b: indirect, pc-relative, 4 bytes: the usual encoding of position independent code.
 * The function must not be inlined (one personality a frame): declare it GUARDED.
 */
#ifdef __clang__ /* makes no clones of functions and knows no such word */
#define GUARDED __attribute__((noinline))
#else
#define GUARDED __attribute__((noinline, noclone))
#endif

/* For the slow half of a hot function: compiled as if in another file, so that the fast half keeps
 * its arguments in their registers. */
#ifdef __clang__
#define APART __attribute__((noinline))
#else
#define APART __attribute__((noinline, noclone, noipa))
#endif
/* The compiler no longer knows what is in there. */
#define arch_forget(place) __asm__ volatile("" : "+m"(place))

#define GUARDED_FRAME() __asm__ volatile(".cfi_personality 0x9b,DW.ref.baton_personality")

/*
 * A frame with another personality, `name`, which takes the part of baton_personality: for frames that
 * must put more in order when they are left. ARCH_PERSONALITY(name) stands once, beside the function.
 */
#define GUARDED_FRAME_BY(name) __asm__ volatile(".cfi_personality 0x9b,DW.ref." #name)

#if __SIZEOF_POINTER__ == 8
#define ARCH_POINTER_WORD ".8byte "
#else
#define ARCH_POINTER_WORD ".4byte "
#endif
#define ARCH_PERSONALITY(name)                                   \
    __asm__(".pushsection .data.rel.ro.local,\"aw\",%progbits\n" \
            ".p2align 3\n"                                       \
            ".hidden DW.ref." #name "\n"                         \
            ".globl DW.ref." #name "\n"                          \
            "DW.ref." #name ":\n" ARCH_POINTER_WORD #name "\n"   \
            ".popsection\n")

/*
 * Keeps `pointer` in the register that unwind_pinned reads, from here on until it is used by
 * arch_unpin: a personality finds there what the frame was about.
 */
#define ARCH_PIN(type, pinned, pointer)                     \
    register type *pinned __asm__(ARCH_PINNED) = (pointer); \
    __asm__ volatile("" : "+r"(pinned))
#define ARCH_UNPIN(pinned) __asm__ volatile("" : "+r"(pinned))

/*
 * For variables that are written to at every start, also where there is nothing to do: they lie beside the hooks'
 * table (layout.ld.in), on a page that is written to anyway.
 */
#define ARCH_WRITTEN_EARLY __attribute__((section(".data.rel.early")))

#endif
