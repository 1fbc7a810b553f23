/* What a crash says of where its work came from (BATON_STACKS). */
#ifndef BATON_OBSERVE_CRASH_H
#define BATON_OBSERVE_CRASH_H

struct watcher;

/* Handlers for SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT. file: where to write, NULL: stderr. */
void crash_start(const char *file);
/* A thread is watched from now on: a stack of its own for handlers, and our handlers behind those that
 * the program has set meanwhile. */
void crash_thread(struct watcher *watcher);

#endif
