/* The cold parts of handoff.h. */
#include "families/handoff.h"

int start_rollback(enum family family, struct thread *thread, int error)
{
    struct thread *self = thread_self;

    context_rollback(family, thread->start.context);
    thread->records.freed++;
    thread_spare_return(self, thread);
    return error;
}
