/*
 * QThread::start: the program's own thread, so it inherits its creator's context.
 *
 * Threads of QThreadPool are QThreads too, but libQtCore starts them by a direct call, which does not
 * come here: they start empty, like the workers of every pool. The same goes for threads that
 * one of Qt's own libraries starts for itself.
 */
#include <string.h>

#include "elf/elf.h"
#include "families/handoff.h"
#include "interpose/inherit.h"

#define start _ZN7QThread5startENS_8PriorityE
#define BODY_AS(name) hook_##name
#define BODY(name) BODY_AS(name)
#define REAL_OF_FOR(name, caller) REAL_FOR(name, caller)

static bool is_qt_itself(const void *caller)
{
    struct elf_module module;

    return elf_module_at(caller, &module) && !module.is_main && !strncmp(module.name, "libQt", 5);
}

void BODY(start)(struct QThread *thread, int priority)
{
    const void *caller = __builtin_return_address(0);
    bool is_own = !is_qt_itself(caller);

    inherit_own_threads += is_own;
    REAL_OF_FOR(start, caller)(thread, priority);
    inherit_own_threads -= is_own;
}
