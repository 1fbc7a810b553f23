/*
 * The only file that knows libunwind (1.3 to 1.8, the ABI of libunwind.so.8).
 *
 * Opened RTLD_LOCAL: linked in, it could take the place of libgcc's unwinder in the program. Its
 * cursor and its context are opaque and not larger than here.
 */
#include "observe/unwinder.h"

#include <dlfcn.h>
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <ucontext.h>

#include "base/arch.h"
#include "elf/elf.h"

enum { CURSOR_WORDS = 4096 / 8, SIGNAL_FRAME = 1 };

static int (*get_context)(void *context);
static int (*init_local)(void *cursor, void *context);
static int (*init_local_2)(void *cursor, void *context, int flag);
static int (*step)(void *cursor);
static int (*get_reg)(void *cursor, int reg, uintptr_t *value);
static int (*backtrace_plain)(void **frames, int max);

bool unwinder_load(void)
{
    void *library;

    if (backtrace_plain)
        return true;
    library = elf_open("libunwind.so.8", RTLD_LAZY | RTLD_LOCAL);
    if (!library)
        return false;
    init_local = (int (*)(void *, void *))elf_open_symbol(library, ARCH_UNWIND("L", "init_local"));
    init_local_2 =
        (int (*)(void *, void *, int))elf_open_symbol(library, ARCH_UNWIND("L", "init_local2"));
    step = (int (*)(void *))elf_open_symbol(library, ARCH_UNWIND("L", "step"));
    get_reg =
        (int (*)(void *, int, uintptr_t *))elf_open_symbol(library, ARCH_UNWIND("L", "get_reg"));
    get_context = (int (*)(void *))elf_open_symbol(library, ARCH_UNWIND("", "getcontext"));
    backtrace_plain = (int (*)(void **, int))elf_open_symbol(library, "unw_backtrace");
    return backtrace_plain != NULL;
}

bool unwinder_is_there(void)
{
    return backtrace_plain != NULL;
}

static unsigned walk(void *cursor, const void *from, const void **frames, const void **places,
                     unsigned max, unsigned skip)
{
    unsigned count = 0;

    while (count < max && (count || skip--)) {
        uintptr_t ip = 0, sp = 0;

        if (get_reg(cursor, ARCH_UNWIND_IP, &ip) < 0 || !ip ||
            get_reg(cursor, ARCH_UNWIND_SP, &sp) < 0)
            break;
        if (count || ip == (uintptr_t)from || !from) {
            frames[count] = (const void *)ip;
            if (places)
                places[count] = ARCH_RETURN_ON_STACK ? (const void *)(sp - sizeof ip) : NULL;
            count++;
        }
        if (step(cursor) <= 0)
            break;
    }
    return count;
}

unsigned unwinder_walk(const void *from, const void **frames, const void **places, unsigned max,
                       unsigned skip)
{
    ucontext_t context;
    uint64_t cursor[CURSOR_WORDS];
    int saved_errno = errno; /* it sees by calls that fail what may be read */
    unsigned count = 0;

    if (init_local && step && get_reg && get_context && get_context(&context) == 0 &&
        init_local(cursor, &context) == 0)
        count = walk(cursor, from, frames, places, max, skip);
    errno = saved_errno;
    return count;
}

unsigned unwinder_walk_signal(void *context, const void **frames, unsigned max)
{
    uint64_t cursor[CURSOR_WORDS];

    if (!step || !get_reg)
        return 0;
    if (init_local_2 ? init_local_2(cursor, context, SIGNAL_FRAME) != 0
                     : !init_local || init_local(cursor, context) != 0)
        return 0;
    return walk(cursor, NULL, frames, NULL, max, 1);
}
