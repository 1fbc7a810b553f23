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

/* How far up the stack may be read: its end if that is known, else the rest of the page. */
static uintptr_t readable_up_to(uintptr_t sp)
{
    uintptr_t end = (sp | (PAGE - 1)) + 1, ends[2] = {elf_stack_end(), (uintptr_t)arch_tp()};

    /* A thread's own block lies at the end of a stack that the C library has made. */
    for (unsigned i = 0; i < 2; i++) {
        if (ends[i] > sp && ends[i] - sp < ((uintptr_t)8 << 20) && ends[i] > end)
            end = ends[i];
    }
    return end - sp > SCAN_MAX ? sp + SCAN_MAX : end;
}

#ifdef ARCH_SIGNAL_RETURN_SIZE
/* Whose sigaction tells the kernel where a handler returns to: before glibc 2.34 libpthread has its own. */
enum { LIBC, LIBPTHREAD, LIBRARIES };
static _Atomic uintptr_t low_of[LIBRARIES], high_of[LIBRARIES]; /* once found */

static int visit_module(const struct elf_module *module, void *arg)
{
    struct elf_module *found = arg;
    static const char *const names[LIBRARIES] = {"libc", "libpthread"};

    for (unsigned i = 0; i < LIBRARIES; i++) {
        if (!found[i].hi && elf_module_match(module, names[i]))
            found[i] = *module;
    }
    return 0;
}

static void find_libraries(void)
{
    struct elf_module found[LIBRARIES] = {0};

    elf_each_module(visit_module, found);
    for (unsigned i = LIBRARIES; i-- > 0;) { /* the C library last: it is what others look at */
        atomic_store_explicit(&low_of[i], found[i].lo, memory_order_relaxed);
        atomic_store_explicit(&high_of[i], found[i].hi, memory_order_release);
    }
}

static bool is_in(unsigned i, uintptr_t address)
{
    uintptr_t high = atomic_load_explicit(&high_of[i], memory_order_acquire);

    return high && address >= atomic_load_explicit(&low_of[i], memory_order_relaxed) &&
           address < high - ARCH_SIGNAL_RETURN_SIZE;
}

static bool is_in_libc(uintptr_t address)
{
    return is_in(LIBC, address) || is_in(LIBPTHREAD, address);
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

    if (!atomic_load_explicit(&high_of[LIBC], memory_order_acquire))
        find_libraries();
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
