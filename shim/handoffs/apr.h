/* For init.c. */
#ifndef BATON_HANDOFFS_APR_H
#define BATON_HANDOFFS_APR_H

void apr_fork_lock(void);
void apr_fork_unlock(void);

#endif
