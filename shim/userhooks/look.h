/* When pointers are looked for; named_look_again is declared in named.h. */
#ifndef BATON_USERHOOKS_LOOK_H
#define BATON_USERHOOKS_LOOK_H

/* From now on, after whatever is loaded; and at once. */
void look_begin(void);
void look_fork_lock(void);
void look_fork_unlock(void);

#endif
