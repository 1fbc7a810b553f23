/* Ends of the program that run no destructors. */
#ifndef BATON_FAMILIES_POSIX_LEAVE_H
#define BATON_FAMILIES_POSIX_LEAVE_H

/* Called before; NULL: nothing is to be said. */
extern void (*leave_hook)(void);

#endif
