/* Where work is handed over: the submitter's frames (BATON_STACKS), or the place of the call alone. */
#ifndef BATON_OBSERVE_STACKS_H
#define BATON_OBSERVE_STACKS_H

#include "observe/watch.h"

extern unsigned stacks_depth
    __attribute__((visibility("hidden"))); /* frames to keep; 0: the place alone */

/* The stack of the hooked call that the thread is in (hook_call). */
uint32_t stacks_here(struct watcher *watcher);
/* Says the stack of a node, and those of the work that it was handed over in. */
void stacks_tell(uint32_t node);
/* Loads libunwind; what is missing is said. */
void stacks_start(unsigned depth);

#endif
