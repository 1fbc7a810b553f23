/*
 * One stack is what the thread began on, from an address up to its end without a hole; or what is known of a
 * coroutine's or of signal handlers' stack. Of any other (a coroutine that switches by code of its own) nobody
 * knows where it ends: two of them may lie in one block of memory.
 *
 * Rules: no descriptor is opened and /proc is not asked, because a program may have no room for one and not the
 * other. In doubt the answer is no: a stale attach is then found a little later, while a live one dropped
 * too early would lose a context.
 */
#include "context/stack.h"

#include <signal.h>
#include <stddef.h>

#include "base/arch.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "context/coroutine.h"
#include "elf/elf.h"

/* Large threads' stacks are at most some hundred MiB; further apart is never one stack. */
#define STACK_MAX ((uintptr_t)1 << 30)

/* Are both in [low, low + size)? *is_said: at least one is, so that the answer is final. */
static bool holds_both(uintptr_t low, size_t size, uintptr_t one, uintptr_t other, bool *is_said)
{
    bool has_one = one - low < size, has_other = other - low < size;

    *is_said = has_one || has_other;
    return has_one && has_other;
}

/* Does the stack that holds both go up to `end`, with no hole? What lies below the stack pointer is no memory to
 * valgrind, which is not asked about it. */
static bool reaches(uintptr_t low, uintptr_t high, uintptr_t end)
{
    return high < end && end - low < STACK_MAX &&
           (arch_is_on_valgrind() || sandbox_is_readable((const void *)low, end - low));
}

bool stack_is_same(uintptr_t one, uintptr_t other)
{
    uintptr_t low = one < other ? one : other, high = one < other ? other : one;
    const struct coroutines *own = thread_self->coroutines;
    stack_t handlers = {0};
    bool is_said = false, answer;

    if (high - low > STACK_MAX)
        return false;
    if (own && own->current->size) {
        answer = holds_both(own->current->low, own->current->size, one, other, &is_said);
        if (is_said)
            return answer;
    }
    if (!sandbox_allows(SANDBOX_STACKS))
        return false;
    if (SYS_CALL(sigaltstack, NULL, &handlers) == 0 && handlers.ss_flags & SS_ONSTACK) {
        answer = holds_both((uintptr_t)handlers.ss_sp, handlers.ss_size, one, other, &is_said);
        if (is_said)
            return answer;
    }
    /* The C library puts a thread's block right above the stack that it made; the first thread's stack is the
     * kernel's. Which of them this is cannot be asked: a child of fork may go on on either. */
    return reaches(low, high, (uintptr_t)arch_tp()) || reaches(low, high, elf_stack_end());
}
