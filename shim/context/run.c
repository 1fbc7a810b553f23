/* Running a function in a context of the user's: a guarded frame around what variables.c does. */
#include "context/scope.h"
#include "context/variables.h"

GUARDED enum vars_run_error vars_run(struct vars_context *context, void (*function)(void *),
                                     void *arg)
{
    GUARDED_FRAME();
    enum vars_run_error error = vars_enter(context, arch_sp());

    if (error != VARS_RUN_OK)
        return error;
    function(arg);
    vars_leave(thread_self, arch_sp());
    return VARS_RUN_OK;
}
