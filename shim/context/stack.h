/* Telling stacks apart. */
#ifndef BATON_CONTEXT_STACK_H
#define BATON_CONTEXT_STACK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * True when two addresses lie on one stack. Slow (reads /proc/self/maps without allocating): asked
 * only when an attach's frame is above the stack pointer, which a longjmp or a switch of stacks does.
 */
bool stack_is_same(uintptr_t one, uintptr_t other);

#endif
