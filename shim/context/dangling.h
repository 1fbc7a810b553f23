/*
 * Values that `share` leaves dangling (BATON_STRICT): the owner replaced one, or set its key to NULL,
 * while handoffs still hold it. Off, nothing here is called.
 */
#ifndef BATON_CONTEXT_DANGLING_H
#define BATON_CONTEXT_DANGLING_H

#include <stdbool.h>

extern bool dangling_on; /* set before any capture */

/* `context` holds `value` of a column from now on; where it was handed over is looked up here. */
void dangling_hold(const void *context, unsigned column, const void *value);
void dangling_let_go(const void *context);

/* The value of a column's key was replaced by another (NULL: freed, presumably). Says so once for every
 * place that hands it over. */
void dangling_replaced(unsigned column, const void *value, const void *by);

/* How many values of a column were replaced while handoffs held them. */
unsigned dangling_count(unsigned column);

void dangling_fork_lock(void);
void dangling_fork_unlock(void);

#endif
