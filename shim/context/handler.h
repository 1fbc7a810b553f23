/* Is a signal handler running on the calling thread? */
#ifndef BATON_CONTEXT_HANDLER_H
#define BATON_CONTEXT_HANDLER_H

#include <stdbool.h>

/*
 * True where it is, or where it cannot be told. Any thread, any stack; one system call (rt_sigprocmask),
 * and where signals are blocked a look at the stack up to 16 KiB above.
 */
bool handler_is_running(void);

#endif
