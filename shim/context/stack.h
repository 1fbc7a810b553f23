/* Telling stacks apart. */
#ifndef BATON_CONTEXT_STACK_H
#define BATON_CONTEXT_STACK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * True when two addresses lie on one stack of the calling thread, and it is known to be one. Slow (asks the kernel
 * about each page of it): asked only when an attach's frame is above the stack pointer, which a longjmp or a
 * switch of stacks does.
 */
bool stack_is_same(uintptr_t one, uintptr_t other);

#endif
