/*
 * Return addresses of the calling thread, by libunwind.
 *
 * It is opened RTLD_LOCAL and only on request: linked in, it could take the place of libgcc's
 * unwinder in the program, and its first use makes a pthread key and a pipe (1.6).
 */
#include "observe/stack.h"

#include <dlfcn.h>
#include <errno.h>

#include "base/frames.h"
#include "elf/elf.h"
#include "base/log.h"
#include "base/sandbox.h"
#include "context/observer.h"
#include "interpose/hooks.h"
#include "slots/slots.h"

static int (*unwind)(void **frames, int max);

/* It asks the loader about code that it has not seen before, with all signals blocked; and the kernel, which a sandbox may
 * forbid. */
static int backtrace(void **frames, int max)
{
    int count = 0, saved_errno = errno;

    if (sandbox_allows(SANDBOX_UNWIND) && elf_walk_begin()) {
        count = unwind(frames, max);
        elf_walk_end();
    }
    errno = saved_errno;
    frames_put_right(frames, count, __builtin_return_address(0));
    return count;
}

/* What is captured next without a hooked call must not be taken for this one's. */
static const void *caller(void)
{
    const void *site = hook_call.site;

    if (!observer)
        hook_call.site = NULL;
    return site;
}

void stack_start(void)
{
    void *library;

    if (hooks_are_seen)
        slots_calls.caller = caller;
    if (slots_calls.backtrace)
        return;
    library = elf_open("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
    if (library)
        unwind = (int (*)(void **, int))elf_open_symbol(library, "unw_backtrace");
    if (unwind)
        slots_calls.backtrace = backtrace;
    if (!slots_calls.backtrace)
        log_msg(LOG_LEVEL_WARN,
                "libunwind.so.8 was not found: key:by= sees only the calling function");
}
