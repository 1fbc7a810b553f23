/* libunwind's own walk, by its functions' names; the library is opened on request only. */
#ifndef BATON_OBSERVE_UNWINDER_H
#define BATON_OBSERVE_UNWINDER_H

#include <stdbool.h>

bool unwinder_load(void);
bool unwinder_is_there(void);

/*
 * The calling thread's frames from the return address `from` on, innermost first; `places`: where on the
 * stack each stands, NULL where that is not known. At most `max`, behind at most `skip` of our own.
 * Answers how many; 0: `from` was not met.
 */
unsigned unwinder_walk(const void *from, const void **frames, const void **places, unsigned max,
                       unsigned skip);

/* The same from the registers that a signal handler was given; the first is where it was. */
unsigned unwinder_walk_signal(void *context, const void **frames, unsigned max);

#endif
