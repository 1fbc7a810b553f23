/* x86-64, System V ABI. */
#ifndef BATON_BASE_ARCH_X86_64_H
#define BATON_BASE_ARCH_X86_64_H

#include <stdint.h>

static inline void arch_pause(void)
{
    __asm__ volatile("pause");
}

/* The stack pointer of the calling function after its prologue; the stack grows down. */
static inline __attribute__((always_inline)) uintptr_t arch_sp(void)
{
    uintptr_t sp;

    __asm__ volatile("mov %%rsp, %0" : "=r"(sp));
    return sp;
}

/* The thread pointer: TLS variant II puts the static blocks below it. */
static inline __attribute__((always_inline)) char *arch_tp(void)
{
    char *tp;

    __asm__("mov %%fs:0, %0" : "=r"(tp));
    return tp;
}

#endif
