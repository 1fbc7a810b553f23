/* Threads that have ended without a word: by a system call of their own, so that nothing of ours has run. */
#ifndef BATON_CONTEXT_GONE_H
#define BATON_CONTEXT_GONE_H

#include <stdint.h>

#pragma GCC visibility push(hidden)

/* Once; in a child of fork, before it has a second thread. */
void gone_begin(void);
void gone_forked(void);

/*
 * Asks the kernel of each thread that has a block whether it lives; what one has that does not is let go, and its block
 * is free; does not ask where not so many as half of these blocks would have none (UINT32_MAX: asks in any case), nor in a
 * sandbox, where that may end the program. May call destructors and free functions. Answers how many blocks have a thread. Call context: any thread of
 * which no fast path is under way, with no lock held.
 */
uint32_t gone_look(uint32_t blocks);

#pragma GCC visibility pop

#endif
