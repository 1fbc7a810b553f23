/*
 * A trap after every instruction of x86-64, from step_on to step_off: SIGTRAP's handler runs there. The words below
 * the stack pointer are the caller's.
 */
#ifndef BATON_TEST_STEP_H
#define BATON_TEST_STEP_H

enum { TRAP_FLAG = 0x100 };

static inline __attribute__((always_inline)) void step_on(void)
{
    __asm__ volatile(
        "lea -128(%%rsp), %%rsp; pushfq; orq $0x100, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
            : "memory", "cc");
}

static inline __attribute__((always_inline)) void step_off(void)
{
    __asm__ volatile(
        "lea -128(%%rsp), %%rsp; pushfq; andq $-257, (%%rsp); popfq; lea 128(%%rsp), %%rsp" ::
            : "memory", "cc");
}

#endif
