/*
 * What happens when a guarded frame is unwound: C++ exception, pthread_exit, cancellation, Rust panic.
 *
 * The frame has a personality routine and no landing pad: in the cleanup phase we detach and let the
 * unwinder go on. So nothing of libgcc_s is needed at load time, and a normal return costs nothing.
 * Source of the interface: Itanium C++ ABI, Exception Handling, level I.
 */
#include <stdint.h>

#include "elf/elf.h"
#include "context/observer.h"
#include "context/scope.h"

enum { UNWIND_CLEANUP_PHASE = 2, UNWIND_FORCED = 8, UNWIND_CONTINUE = 8 };

struct _Unwind_Exception;
struct _Unwind_Context;

int baton_personality(int version, int actions, uint64_t exception_class,
                      struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding);

/*
 * The frame's stack pointer at its call, from the unwinder that is running: there may be several in
 * a process (libgcc_s, LLVM's, one linked into the program), and their contexts differ. While a
 * personality runs, _Unwind_GetCFA is the canonical address of the frame that was called, in libgcc
 * (uw_identify_context relies on it) and in LLVM's libunwind (which answers its SP) alike.
 */
static uintptr_t frame_sp(struct _Unwind_Context *unwinding, const void *unwinder)
{
    struct elf_module module;
    uintptr_t (*get_cfa)(struct _Unwind_Context *);

    if (!elf_module_at(unwinder, &module))
        return 0;
    get_cfa = (uintptr_t(*)(struct _Unwind_Context *))elf_dynsym(&module, "_Unwind_GetCFA");
    return get_cfa ? get_cfa(unwinding) : 0;
}

__attribute__((used, visibility("hidden"))) int
baton_personality(int version, int actions, uint64_t exception_class,
                  struct _Unwind_Exception *exception, struct _Unwind_Context *unwinding)
{
    if (actions & UNWIND_CLEANUP_PHASE) {
        uintptr_t sp = frame_sp(unwinding, __builtin_return_address(0));

        struct thread *thread = thread_self;

        observed_end = actions & UNWIND_FORCED ? ENDED_CANCELLED : ENDED_EXCEPTION;
        /* Without it: the innermost attach is this frame's, but for frames that longjmp has left. */
        if (scope_leave_unwound(thread, sp ? sp : thread->frame_mark & ~(uintptr_t)FRAME_FLAGS))
            thread_leave(thread);
        observed_end = ENDED_RETURN;
    }
    return UNWIND_CONTINUE;
}

__asm__(".pushsection .data.rel.ro.local,\"aw\",%progbits\n"
        ".p2align 3\n"
        ".hidden DW.ref.baton_personality\n"
        ".globl DW.ref.baton_personality\n"
        "DW.ref.baton_personality:\n"
#if __SIZEOF_POINTER__ == 8
        ".8byte baton_personality\n"
#else
        ".4byte baton_personality\n"
#endif
        ".popsection\n");
