/*
 * The bank seen from C: who stands behind a thunk, what unwinding through a wrap thunk does, how much
 * room the vector state takes.
 *
 * A thunk that was given out is never taken back: an address that the program has may be called as
 * long as it runs, or until the function behind it is unloaded.
 */
#include <errno.h>

#include "elf/elf.h"
#include "context/scope.h"
#include "userhooks/core.h"

static struct lock take_lock;

/* One whose function was unloaded: no pointer to it is good any more. Its number; 0: none. */
static unsigned find_left(void **original)
{
    struct elf_module module;

    for (unsigned i = thunks_rows_end; i < THUNKS; i++) {
        *original = atomic_load(&thunks[i].original);
        if (*original && !elf_module_at(*original, &module))
            return i;
    }
    return 0;
}

unsigned thunk_take(struct named_hook *hook, enum thunk_role role, void *original)
{
    void *gone = NULL;
    unsigned left = 0, index, used = atomic_load(&thunks_used);

    if (used == THUNKS && !thunk_find(hook, role, original))
        left = find_left(&gone); /* not under the lock: it asks the loader */
    lock_take(&take_lock);
    index = thunk_find(hook, role, original);
    if (!index) {
        used = atomic_load(&thunks_used);
        if (used < THUNKS)
            index = used;
        else if (left && atomic_load(&thunks[left].original) == gone)
            index = left;
        if (index) {
            thunks[index].hook = hook;
            thunks[index].role = role;
            atomic_store(&thunks[index].original, original);
        } else {
            atomic_store(&hook->has_no_place, true);
        }
        if (index == used)
            atomic_store_explicit(&thunks_used, used + 1, memory_order_release);
    }
    lock_drop(&take_lock);
    return index;
}

void thunk_fork_lock(void)
{
    lock_take_for_fork(&take_lock);
}

void thunk_fork_unlock(void)
{
    lock_drop_after_fork(&take_lock);
}

/* ---- unwinding ---- */

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
        if (wrap->context && wrap->thunk->role == THUNK_REPEAT)
            named_repeat_leave(wrap->node, wrap);
        else if (wrap->context)
            scope_leave_slow(thread_self, wrap_place(wrap));
    }
    errno = saved_errno;
    return UNWIND_CONTINUE;
}
