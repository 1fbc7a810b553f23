/*
 * The thunks' half in C: what unwinding through a wrap thunk does.
 *
 * Rules: it is called by whichever unwinder is running, of which nothing is linked; the unwinding goes on.
 */
#include <errno.h>

#include "elf/elf.h"
#include "context/scope.h"
#include "userhooks/core.h"

enum { UNWIND_CLEANUP_PHASE = 2, UNWIND_CONTINUE = 8 };

struct _Unwind_Exception;
struct _Unwind_Context;

int thunk_personality(int version, int actions, uint64_t exception_class,
                      struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding);

/*
 * The task has ended by an exception, pthread_exit or cancellation: detach, and let the unwinder go
 * on. The frame pointer finds our memory in the frame, whichever unwinder is running.
 */
__attribute__((used, visibility("hidden"))) int
thunk_personality(int version, int actions, uint64_t exception_class,
                  struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding)
{
    uintptr_t (*get_register)(struct _Unwind_Context *, int) = NULL;
    struct elf_module module;
    struct thunk_frame *frame;
    struct wrap *wrap;
    int saved_errno = errno;

    if (!(actions & UNWIND_CLEANUP_PHASE))
        return UNWIND_CONTINUE;
    if (elf_module_at(__builtin_return_address(0), &module))
        get_register =
            (uintptr_t(*)(struct _Unwind_Context *, int))elf_dynsym(&module, "_Unwind_GetGR");
    if (get_register) {
        frame =
            (struct thunk_frame *)(get_register(unwinding, FRAME_POINTER) - FRAME_BELOW_POINTER);
        wrap = (struct wrap *)(void *)((char *)frame - WRAP_SIZE);
        if (wrap->context && wrap->node)
            named_repeat_leave(wrap->node, wrap);
        else if (wrap->context)
            scope_leave_slow(thread_self, wrap_place(wrap));
    }
    errno = saved_errno;
    return UNWIND_CONTINUE;
}
