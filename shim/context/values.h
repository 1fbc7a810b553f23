/*
 * Who still needs a value: rule D17, `share` of a key that has a destructor.
 *
 * A value is known by its key index, the binding's epoch and its pointer. Contexts that hold it count;
 * a destruction that is due while they do is remembered and carried out when the last lets go.
 */
#ifndef BATON_CONTEXT_VALUES_H
#define BATON_CONTEXT_VALUES_H

#include <stdbool.h>
#include <stdint.h>

/* A context that holds `value` came to be. False: no memory, the value must not be held. */
bool values_hold(unsigned key_index, uint32_t since, void *value);

/* A context that held it is gone. Runs due destructors before it returns, with no lock held. */
void values_let_go(unsigned key_index, uint32_t since, void *value);

/* The value's owner is done with it. True: contexts still hold it; the destructor runs when the last
 * is gone. False: nobody does; the caller destroys it now. */
bool values_defer(unsigned key_index, uint32_t since, void *value);

/* The key of a key index was deleted: no destructor of its values runs any more (as POSIX has it). */
void values_forget(unsigned key_index);

/* Values that at least one context holds. */
int64_t values_count(void);

void values_fork_lock(void);
void values_fork_unlock(bool is_child);

#endif
