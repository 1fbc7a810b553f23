/*
 * prctl: hands nothing over. A program that shuts itself in (seccomp) is noted down, so that it is not asked for more
 * at its end than it allows itself (base/sandbox.h). The call itself is the program's own, as it is.
 */
#include <stdatomic.h>
#include <sys/prctl.h>

#include "base/lock.h"
#include "base/sandbox.h"
#include "base/sys.h"
#include "interpose/hooks.h"
#include "slots/moves.h"

/*
 * Before the call: is what it does the process's? A child of vfork shares our memory until it is another program: what it
 * enters is its own. Asked of the kernel, so not where a sandbox may forbid that: there it is taken for ours.
 */
static bool is_ours(int option)
{
    if ((option != PR_SET_NO_NEW_PRIVS && option != PR_SET_SECCOMP) || sandbox_is_shut() ||
        atomic_load(&sandbox_bars) || !atomic_load(&lock_number_at))
        return true;
    return ((uint32_t)SYS_CALL(gettid, 0) & LOCK_OWNER) == lock_self();
}

int hook_prctl(int option, unsigned long second, unsigned long third, unsigned long fourth,
               unsigned long fifth)
{
    bool is_to_note = is_ours(option);
    int result = REAL(prctl)(option, second, third, fourth, fifth);

    if (result == 0 && is_to_note) {
        sandbox_note(option, second, (const void *)third);
        moves_shut();
    }
    return result;
}
