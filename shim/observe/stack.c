/*
 * Return addresses of the calling thread, by libunwind.
 *
 * It is opened RTLD_LOCAL and only on request: linked in, it could take the place of libgcc's
 * unwinder in the program, and its first use makes a pthread key and a pipe (1.6).
 */
#include "observe/stack.h"

#include <dlfcn.h>

#include "base/log.h"
#include "slots/slots.h"

void stack_start(void)
{
    void *library;

    if (slots_backtrace)
        return;
    library = dlopen("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
    if (library)
        slots_backtrace = (int (*)(void **, int))dlsym(library, "unw_backtrace");
    if (!slots_backtrace)
        log_msg(LOG_LEVEL_WARN,
                "libunwind.so.8 was not found: key:by= sees only the calling function");
}
