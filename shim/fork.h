/* fork, for init.c: the locks of all rooms are taken before it and let go after it. */
#ifndef BATON_FORK_H
#define BATON_FORK_H

#include <stdbool.h>

/* From now on, once for all. is_busy: another thread does what a child could not go on with. */
void fork_watch(bool (*is_busy)(void));

#endif
