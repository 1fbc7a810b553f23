/* x86-64, System V ABI. */
#ifndef BATON_BASE_ARCH_X86_64_H
#define BATON_BASE_ARCH_X86_64_H

#include <cpuid.h> /* gcc 10: not guarded, so nobody who includes this one includes it, too */
#include <elf.h>
#include <linux/audit.h>
#include <stdbool.h>
#include <stdint.h>
#include <ucontext.h>

/* Relocations whose place holds a pointer to a function. */
enum {
    ARCH_RELOCATION_PLT = R_X86_64_JUMP_SLOT,
    ARCH_RELOCATION_GOT = R_X86_64_GLOB_DAT,
    ARCH_RELOCATION_POINTER = R_X86_64_64,
};

/* What a filter of system calls (seccomp) is told of the machine. */
enum { ARCH_AUDIT = (int)AUDIT_ARCH_X86_64 };

/* libunwind's names of its functions, and its numbers of registers; where a call leaves its way back. */
#define ARCH_UNWIND(local, name) "_U" local "x86_64_" name
enum { ARCH_UNWIND_IP = 16, ARCH_UNWIND_SP = 7, ARCH_RETURN_ON_STACK = 1 };

/* slots/words_move_x86_64.h is there. */
#define ARCH_MOVES_WORDS 1
/* families/openmp/gomp_task_x86_64.c is there. */
#define ARCH_HAS_GOMP_WORD 1

/* A register that calls preserve, and its number in unwind information (ARCH_PIN). */
#define ARCH_PINNED "rbx"
enum { ARCH_PINNED_NUMBER = 3 };

static inline void arch_pause(void)
{
    __asm__ volatile("pause");
}

/* A system call of three arguments at most: -errno when it fails. Whoever has a syscall() of their own is not asked. */
static inline __attribute__((always_inline)) long arch_kernel(long number, long one, long two,
                                                              long three)
{
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(one), "S"(two), "d"(three)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

/* Of six at most. */
static inline __attribute__((always_inline)) long
arch_kernel_six(long number, long one, long two, long three, long four, long five, long six)
{
    register long r10 __asm__("r10") = four;
    register long r8 __asm__("r8") = five;
    register long r9 __asm__("r9") = six;
    long result;

    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "0"(number), "D"(one), "S"(two), "d"(three), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory", "cc");
    return result;
}

/*
 * The processor's counter of time: 8 ns to read, where clock_gettime takes 20. Only where it counts
 * evenly, in every state, the same on all processors (cpuid, "invariant TSC").
 */
static inline __attribute__((always_inline)) uint64_t arch_ticks(void)
{
    return __builtin_ia32_rdtsc();
}

static inline bool arch_has_ticks(void)
{
    unsigned a = 0x80000000u, b, c = 0, d;

    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    if (a < 0x80000007u)
        return false;
    a = 0x80000007u;
    c = 0;
    __asm__("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return d >> 8 & 1;
}

/*
 * Moves a pointer that only this thread writes on by so many bytes, and says where it was: whole for a signal
 * handler of the thread, not for other threads.
 */
static inline __attribute__((always_inline)) uint64_t *arch_move_on(uint64_t **place, size_t bytes)
{
    uintptr_t was = bytes;

    __asm__ volatile("xaddq %0, %1" : "+r"(was), "+m"(*place) : : "cc");
    return (uint64_t *)was;
}

/* The same for bringing it back to `to`, if it is still at `from`. */
static inline __attribute__((always_inline)) void arch_move_back(uint64_t **place, uint64_t *from,
                                                                 uint64_t *to)
{
    __asm__ volatile("cmpxchgq %2, %1" : "+a"(from), "+m"(*place) : "r"(to) : "cc");
}

/* Takes one away, so that a signal handler of this thread comes before or after. True: the rest is not negative. */
static inline __attribute__((always_inline)) bool arch_take_one(int32_t *count)
{
    bool is_there;

    __asm__("decl %0" : "+m"(*count), "=@ccns"(is_there));
    return is_there;
}

/* The stack pointer of the calling function after its prologue; the stack grows down. */
static inline __attribute__((always_inline)) uintptr_t arch_sp(void)
{
    uintptr_t sp;

    __asm__ volatile("mov %%rsp, %0" : "=r"(sp));
    return sp;
}

/*
 * The same, and surely so: that register is named, or the compiler may put the prologue behind (GCC 16 does, where an early
 * exit needs none). For frames that are known again by it when they are unwound.
 */
static inline __attribute__((always_inline)) uintptr_t arch_sp_framed(void)
{
#ifdef __clang__
    return arch_sp(); /* which calls a variable in a register uninitialized */
#else
    register uintptr_t here __asm__("rsp");
    uintptr_t sp;

    __asm__ volatile("mov %%rsp, %0" : "=r"(sp) : "r"(here));
    return sp;
#endif
}

/* arch_sp() + flags, in one instruction where flags is known. */
static inline __attribute__((always_inline)) uintptr_t arch_sp_plus(unsigned flags)
{
#ifdef __OPTIMIZE__
    if (__builtin_constant_p(flags)) {
        uintptr_t sum;

        __asm__ volatile("lea %c1(%%rsp), %0" : "=r"(sum) : "i"(flags));
        return sum;
    }
#endif
    return arch_sp() + flags;
}

/* Puts arch_sp() + flags into *word; flags: a small constant. One or two instructions. */
static inline __attribute__((always_inline)) void arch_sp_store(uintptr_t *word, unsigned flags)
{
    if (__builtin_constant_p(flags) && flags == 0)
        __asm__ volatile("mov %%rsp, %0" : "=m"(*word));
    else
        *word = arch_sp_plus(flags);
}

/* *word is arch_sp() + flags. */
static inline __attribute__((always_inline)) bool arch_sp_is(const uintptr_t *word, unsigned flags)
{
    bool is_same;

    if (!__builtin_constant_p(flags) || flags != 0)
        return *word == arch_sp_plus(flags);
    __asm__ volatile("cmp %%rsp, %1" : "=@cce"(is_same) : "m"(*word));
    return is_same;
}

/* The stack pointer that setcontext would load. */
static inline __attribute__((always_inline)) uintptr_t arch_context_sp(const ucontext_t *context)
{
    return (uintptr_t)context->uc_mcontext.gregs[REG_RSP];
}

/* Where a signal came. */
static inline uintptr_t arch_context_pc(const void *context)
{
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RIP];
}

/*
 * The stack pointer that longjmp would load, 0: not known. glibc mangles it with a secret in the
 * thread block (PTR_MANGLE of sysdeps/unix/sysv/linux/x86_64/pointer_guard.h; JB_RSP is word 6).
 */
static inline uintptr_t arch_jump_sp(const void *environment)
{
    uintptr_t word = ((const uintptr_t *)environment)[6], secret;

    __asm__("mov %%fs:0x30, %0" : "=r"(secret));
    return (word >> 17 | word << 47) ^ secret;
}

/* Where the kernel lets a handler return to: mov $15, %rax; syscall (glibc's __restore_rt). */
#define ARCH_SIGNAL_RETURN_SIZE 9
static inline bool arch_is_signal_return(const unsigned char *code)
{
    static const unsigned char bytes[ARCH_SIGNAL_RETURN_SIZE] = {0x48, 0xc7, 0xc0, 0x0f, 0,
                                                                 0,    0,    0x0f, 0x05};

    for (unsigned i = 0; i < sizeof bytes; i++) {
        if (code[i] != bytes[i])
            return false;
    }
    return true;
}

/* Whoever asks the kernel for a handler says where it returns to (base/arch_x86_64.c). */
void arch_signal_return(void) __attribute__((visibility("hidden")));
#define ARCH_ACTION_FLAGS 0x04000000ul /* SA_RESTORER */
#define ARCH_ACTION_RESTORER arch_signal_return

/* A value in a register that carries no argument: the compiler would push one aside for it. */
static inline __attribute__((always_inline)) uintptr_t arch_scratch(uintptr_t value)
{
    register uintptr_t scratch __asm__("r11") = value;

    __asm__("" : "+r"(scratch));
    return scratch;
}

/* The thread pointer: TLS variant II puts the static blocks below it. */
static inline __attribute__((always_inline)) char *arch_tp(void)
{
    char *tp;

    __asm__("mov %%fs:0, %0" : "=r"(tp));
    return tp;
}

/*
 * The thread's number in the kernel, from where glibc has kept it since 2.11 (struct pthread, tid; libthread_db reads it
 * there, too). Code that relies on it asks the kernel once whether it is that.
 */
static inline __attribute__((always_inline)) int arch_tid(void)
{
    int tid;

    __asm__ volatile("movl %%fs:0x2d0, %0" : "=r"(tid));
    return tid;
}

/* Where glibc keeps the thread's table of blocks (elf/tls.c; tcbhead_t). */
static inline __attribute__((always_inline)) const uintptr_t *arch_tls_table(void)
{
    const uintptr_t *table;

    __asm__ volatile("mov %%fs:8, %0" : "=r"(table));
    return table;
}

/* The eight bytes at an offset from the thread pointer, of any alignment: one instruction. */
/* What glibc's pthread_self answers, and where the thread's number stands behind it in all versions since 2.26. */
static inline const char *arch_thread(void)
{
    return arch_tp();
}
enum { ARCH_THREAD_NUMBER = 0x2d0 };

typedef uint64_t arch_tp_word __attribute__((aligned(1), may_alias));
#define ARCH_TP_WORD(offset) (*(arch_tp_word __seg_fs *)(uintptr_t)(offset))

/* An int of the calling thread's, which foreign code changes as well. */
static inline __attribute__((always_inline)) int arch_tp_int(intptr_t offset)
{
    int value;

    __asm__ volatile("movl %%fs:(%1), %0" : "=r"(value) : "r"(offset) : "memory");
    return value;
}

static inline __attribute__((always_inline)) void arch_tp_set_int(intptr_t offset, int value)
{
    __asm__ volatile("movl %1, %%fs:(%0)" : : "r"(offset), "r"(value) : "memory");
}

/*
 * The control bits of floating point in one word: MXCSR (without its flags, bits 0 to 5) below, the
 * x87 control word above. The default is that of a new process.
 */
#define ARCH_FENV_DEFAULT (UINT64_C(0x037f) << 32 | 0x1f80)

static inline uint64_t arch_fenv_read(void)
{
    uint32_t mxcsr;
    uint16_t control;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    __asm__ volatile("fnstcw %0" : "=m"(control));
    return (uint64_t)control << 32 | (mxcsr & ~UINT32_C(0x3f));
}

/*
 * The flags stay as they are, with one exception: an x87 exception that is not masked any more while
 * its flag is up would be raised by the next x87 instruction, for something that happened long ago.
 */
static inline void arch_fenv_write(uint64_t fenv)
{
    uint32_t mxcsr;
    uint16_t control = (uint16_t)(fenv >> 32), now, status;

    __asm__ volatile("stmxcsr %0" : "=m"(mxcsr));
    mxcsr = (mxcsr & 0x3f) | (uint32_t)fenv;
    __asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
    __asm__ volatile("fnstsw %0" : "=m"(status));
    if (__builtin_expect(status & ~control & 0x3f, 0)) {
        __asm__ volatile("fnstcw %0" : "=m"(now));
        if (now == control)
            return; /* what is to be raised is what was done under it */
        __asm__ volatile("fnclex");
    }
    __asm__ volatile("fldcw %0" : : "m"(control));
}

/*
 * Valgrind runs the program: it takes these rotations, which change nothing, for a question (number 0x1001, its
 * RUNNING_ON_VALGRIND) and answers it in rdx. Source: valgrind.h, whose numbers are an interface.
 */
static inline bool arch_is_on_valgrind(void)
{
    volatile uint64_t question[6] = {0x1001};
    uint64_t answer = 0;

    __asm__ volatile("rolq $3, %%rdi; rolq $13, %%rdi; rolq $61, %%rdi; rolq $51, %%rdi\n\t"
                     "xchgq %%rbx, %%rbx"
                     : "+d"(answer)
                     : "a"(question)
                     : "cc", "memory");
    return answer != 0;
}

/* The kernel's clock_gettime, in the page that it maps into every process. */
#define ARCH_VDSO_CLOCK "__vdso_clock_gettime"

/* Arguments of a call that lie in registers; the others lie on the caller's stack. */
#define ARCH_REGISTER_ARGUMENTS 6

/* Is there a call just before CODE, of whose address ARCH_CALL_MAX bytes can be read? Near, or through a register or
 * memory, in its lengths. */
enum { ARCH_CALL_MAX = 7 };
static inline bool arch_is_behind_call(const unsigned char *code)
{
    if (code[-5] == 0xe8)
        return true;
    for (int len = 2; len <= ARCH_CALL_MAX; len++) {
        if (code[-len] == 0xff && (code[1 - len] & 0x38) == 0x10)
            return true;
    }
    return false;
}

/* A function that uses registers of 32 bytes, where arch_is_wide; ZERO: is such a vector? */
#define ARCH_WIDE __attribute__((target("avx2")))
#define ARCH_WIDE_IS_ZERO(vector) \
    (__builtin_ia32_ptestz256((arch_wide)(vector), (arch_wide)(vector)) != 0)
typedef long long __attribute__((vector_size(32))) arch_wide;

/* Asked of the processor here: the compiler's own question is a constructor, which every program would run. */
static inline bool arch_is_wide(void)
{
    enum { SAVED = 6 }; /* what the system saves of a thread: both halves of such a register */
    unsigned a, b, c, d, saved, high;

    if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE) || !(c & bit_AVX))
        return false;
    __asm__("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
    return (saved & SAVED) == SAVED && __get_cpuid_count(7, 0, &a, &b, &c, &d) && b & bit_AVX2;
}

#endif
