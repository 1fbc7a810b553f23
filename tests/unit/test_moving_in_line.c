// promise: the same as test_moving_pair.c where the frame that attaches runs the task, too
#define ONE_PAIR 1
#include "context/front_out.h"
#include "core.h"

static GUARDED void run_in_line(struct context *context, void (*call)(void *), void *arg)
{
    GUARDED_FRAME_BY(baton_pair_personality);

    SCOPE_RUN_PAIR(thread_self, &context, FRAME_OWNED, call(arg));
}

#define core_run run_in_line
#include "test_moving.c"
