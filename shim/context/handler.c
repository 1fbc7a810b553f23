/*
 * Is a signal handler running? Blocked signals alone do not say so: programs with a signalfd block them
 * for good, and most worker threads do. While a handler runs, the kernel's frame lies on its stack: the
 * return address that leads to rt_sigreturn, in front of the interrupted context. That is what unwinders
 * look for, too.
 *
 * Rules: nothing is read but the stack between the caller and what is surely mapped, and code of the C
 * library. A leftover of an earlier handler may be taken for a running one: then the answer is yes.
 */
#include "context/handler.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>

#include "base/arch.h"
#include "base/sys.h"
#include "elf/elf.h"

enum { SCAN_MAX = 16384, PAGE = 4096 };

extern const char *gnu_get_libc_version(void); /* a function that nobody else defines */
extern void *__libc_stack_end;                 /* ld.so: where the main thread's stack began */

/* How far up the stack may be read: its end if that is known, else the rest of the page. */
static uintptr_t readable_up_to(uintptr_t sp)
{
    uintptr_t end = (sp | (PAGE - 1)) + 1,
              ends[2] = {(uintptr_t)__libc_stack_end, (uintptr_t)arch_tp()};

    /* A thread's own block lies at the end of a stack that the C library has made. */
    for (unsigned i = 0; i < 2; i++) {
        if (ends[i] > sp && ends[i] - sp < ((uintptr_t)8 << 20) && ends[i] > end)
            end = ends[i];
    }
    return end - sp > SCAN_MAX ? sp + SCAN_MAX : end;
}

#ifdef ARCH_SIGNAL_RETURN_SIZE
/* The C library's module, found once. */
static bool is_in_libc(uintptr_t address)
{
    static _Atomic uintptr_t low, high;
    struct elf_module module;

    if (!atomic_load_explicit(&high, memory_order_acquire)) {
        if (!elf_module_at((const void *)(uintptr_t)&gnu_get_libc_version, &module))
            return false;
        atomic_store_explicit(&low, module.lo, memory_order_relaxed);
        atomic_store_explicit(&high, module.hi, memory_order_release);
    }
    return address >= atomic_load_explicit(&low, memory_order_relaxed) &&
           address < atomic_load_explicit(&high, memory_order_relaxed) - ARCH_SIGNAL_RETURN_SIZE;
}
#endif

bool handler_is_running(void)
{
    uint64_t blocked = 0;

    if (SYS_CALL(rt_sigprocmask, SIG_BLOCK, NULL, &blocked, sizeof blocked) < 0)
        return true;
    if (!blocked)
        return false;
#ifdef ARCH_SIGNAL_RETURN_SIZE
    uintptr_t sp = arch_sp() & ~(uintptr_t)7, end = readable_up_to(sp);

    for (const uintptr_t *word = (const uintptr_t *)sp; (uintptr_t)(word + 1) <= end; word++) {
        if (is_in_libc(*word) && arch_is_signal_return((const unsigned char *)*word))
            return true;
    }
    return false;
#else
    (void)readable_up_to;
    return true;
#endif
}
