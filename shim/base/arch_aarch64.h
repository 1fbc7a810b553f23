/* AArch64, AAPCS64. Run under qemu only: make check-aarch64. */
#ifndef BATON_BASE_ARCH_AARCH64_H
#define BATON_BASE_ARCH_AARCH64_H

#include <elf.h>
#include <linux/audit.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* Relocations whose place holds a pointer to a function. */
enum {
    ARCH_RELOCATION_PLT = R_AARCH64_JUMP_SLOT,
    ARCH_RELOCATION_GOT = R_AARCH64_GLOB_DAT,
    ARCH_RELOCATION_POINTER = R_AARCH64_ABS64,
};

/* A register that calls preserve, and its number in unwind information (ARCH_PIN). */
#define ARCH_PINNED "x19"
enum { ARCH_PINNED_NUMBER = 19 };

static inline void arch_pause(void)
{
    __asm__ volatile("yield");
}

/* What a filter of system calls (seccomp) is told of the machine. */
enum { ARCH_AUDIT = (int)AUDIT_ARCH_AARCH64 };

/* A system call of three arguments at most: -errno when it fails. Whoever has a syscall() of their own is not asked. */
static inline __attribute__((always_inline)) long arch_kernel(long number, long one, long two,
                                                              long three)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = one;
    register long x1 __asm__("x1") = two;
    register long x2 __asm__("x2") = three;

    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory", "cc");
    return x0;
}

/* Of six at most. */
static inline __attribute__((always_inline)) long
arch_kernel_six(long number, long one, long two, long three, long four, long five, long six)
{
    register long x8 __asm__("x8") = number;
    register long x0 __asm__("x0") = one;
    register long x1 __asm__("x1") = two;
    register long x2 __asm__("x2") = three;
    register long x3 __asm__("x3") = four;
    register long x4 __asm__("x4") = five;
    register long x5 __asm__("x5") = six;

    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory", "cc");
    return x0;
}

/* libunwind's names of its functions, and its numbers of registers; where a call leaves its way back. */
#define ARCH_UNWIND(local, name) "_U" local "aarch64_" name
enum { ARCH_UNWIND_IP = 32, ARCH_UNWIND_SP = 31, ARCH_RETURN_ON_STACK = 0 };

/* The processor's counter of time: the same on all processors, always on. */
static inline __attribute__((always_inline)) uint64_t arch_ticks(void)
{
    uint64_t ticks;

    __asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
    return ticks;
}

static inline bool arch_has_ticks(void)
{
    return true;
}

/*
 * Moves a pointer that only this thread writes on by so many bytes, and says where it was: whole for a signal
 * handler of the thread (which clears the monitor), not for other threads.
 */
static inline __attribute__((always_inline)) uint64_t *arch_move_on(uint64_t **place, size_t bytes)
{
    uint64_t *was, *next;
    uint32_t failed;

    __asm__ volatile("1: ldxr %0, %3\n"
                     "   add %1, %0, %4\n"
                     "   stxr %w2, %1, %3\n"
                     "   cbnz %w2, 1b"
                     : "=&r"(was), "=&r"(next), "=&r"(failed), "+Q"(*place)
                     : "r"(bytes));
    return was;
}

/* The same for bringing it back to `to`, if it is still at `from`. */
static inline __attribute__((always_inline)) void arch_move_back(uint64_t **place, uint64_t *from,
                                                                 uint64_t *to)
{
    uint64_t *was;
    uint32_t failed;

    __asm__ volatile("1: ldxr %0, %2\n"
                     "   cmp %0, %3\n"
                     "   b.ne 2f\n"
                     "   stxr %w1, %4, %2\n"
                     "   cbnz %w1, 1b\n"
                     "2:"
                     : "=&r"(was), "=&r"(failed), "+Q"(*place)
                     : "r"(from), "r"(to)
                     : "cc");
}

/* See arch_x86_64.h. */
static inline __attribute__((always_inline)) bool arch_take_one(int32_t *count)
{
    return __atomic_sub_fetch(count, 1, __ATOMIC_RELAXED) >= 0;
}

/* The stack pointer of the calling function after its prologue; the stack grows down. */
static inline __attribute__((always_inline)) uintptr_t arch_sp(void)
{
    uintptr_t sp;

    __asm__ volatile("mov %0, sp" : "=r"(sp));
    return sp;
}

/* See arch_x86_64.h. */
static inline __attribute__((always_inline)) uintptr_t arch_sp_framed(void)
{
#ifdef __clang__
    return arch_sp(); /* which calls a variable in a register uninitialized */
#else
    register uintptr_t here __asm__("sp");
    uintptr_t sp;

    __asm__ volatile("mov %0, sp" : "=r"(sp) : "r"(here));
    return sp;
#endif
}

/* Puts arch_sp() + flags into *word; flags: a small constant. */
static inline __attribute__((always_inline)) void arch_sp_store(uintptr_t *word, unsigned flags)
{
    *word = arch_sp() + flags;
}

/* *word is arch_sp() + flags. */
static inline __attribute__((always_inline)) bool arch_sp_is(const uintptr_t *word, unsigned flags)
{
    return *word == arch_sp() + flags;
}

/* The stack pointer that setcontext would load. */
static inline __attribute__((always_inline)) uintptr_t arch_context_sp(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.sp;
}

/* Where a signal came. */
static inline uintptr_t arch_context_pc(const void *context)
{
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.pc;
}

/* A handler returns into the kernel's own page. */
#define ARCH_ACTION_FLAGS 0ul
#define ARCH_ACTION_RESTORER NULL

/* The stack pointer that longjmp would load. */
uintptr_t arch_jump_sp(const void *environment);

/* x86-64 runs short of registers that carry no argument; here there are enough. */
static inline __attribute__((always_inline)) uintptr_t arch_scratch(uintptr_t value)
{
    return value;
}

/* The thread pointer: TLS variant I puts the static blocks above it. */
static inline __attribute__((always_inline)) char *arch_tp(void)
{
    char *tp;

    __asm__("mrs %0, tpidr_el0" : "=r"(tp));
    return tp;
}

/* The thread's number in the kernel; 0: nobody knows. glibc keeps it below the thread pointer, in each version elsewhere. */
static inline __attribute__((always_inline)) int arch_tid(void)
{
    return 0;
}

/* Where glibc keeps the thread's table of blocks (elf/tls.c; tcbhead_t). */
static inline __attribute__((always_inline)) const uintptr_t *arch_tls_table(void)
{
    return *(const uintptr_t *const volatile *)(const void *)arch_tp();
}

/* The eight bytes at an offset from the thread pointer, of any alignment. */
/* What glibc's pthread_self answers, and where the thread's number stands behind it. */
static inline const char *arch_thread(void)
{
    return (const char *)pthread_self();
}
enum { ARCH_THREAD_NUMBER = 0xd0 };

typedef uint64_t arch_tp_word __attribute__((aligned(1), may_alias));
#define ARCH_TP_WORD(offset) (*(arch_tp_word *)(void *)(arch_tp() + (offset)))

/* An int of the calling thread's, which foreign code changes as well. */
static inline int arch_tp_int(intptr_t offset)
{
    return *(volatile int *)(void *)(arch_tp() + offset);
}

static inline void arch_tp_set_int(intptr_t offset, int value)
{
    *(volatile int *)(void *)(arch_tp() + offset) = value;
}

/* The control bits of floating point: FPCR. Its flags are in a register of their own (FPSR). */
#define ARCH_FENV_DEFAULT UINT64_C(0)

static inline uint64_t arch_fenv_read(void)
{
    uint64_t fpcr;

    __asm__ volatile("mrs %0, fpcr" : "=r"(fpcr));
    return fpcr;
}

static inline void arch_fenv_write(uint64_t fenv)
{
    __asm__ volatile("msr fpcr, %0" : : "r"(fenv));
}

/* See arch_x86_64.h; not asked here. */
static inline bool arch_is_on_valgrind(void)
{
    return false;
}

/* The kernel's clock_gettime, in the page that it maps into every process. */
#define ARCH_VDSO_CLOCK "__kernel_clock_gettime"

/* Arguments of a call that lie in registers; the others lie on the caller's stack. */
#define ARCH_REGISTER_ARGUMENTS 8

/* See arch_x86_64.h: bl, blr. */
enum { ARCH_CALL_MAX = 4 };
static inline bool arch_is_behind_call(const unsigned char *code)
{
    uint32_t before = *((const uint32_t *)(const void *)code - 1);

    return before >> 26 == 0x25 || (before & 0xfffffc1f) == 0xd63f0000;
}

#endif
