/* Stacks, by libunwind; the only room that knows it. */
#ifndef BATON_OBSERVE_STACK_H
#define BATON_OBSERVE_STACK_H

/* Loads libunwind for those who asked for a feature that needs it, and offers slots_calls.backtrace. */
void stack_start(void);

#endif
