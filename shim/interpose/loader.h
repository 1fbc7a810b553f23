/* What the room of named functions asks of the loader's hooks. */
#ifndef BATON_INTERPOSE_LOADER_H
#define BATON_INTERPOSE_LOADER_H

/* A library is about to be opened. NULL: nobody asks. */
extern void (*loader_opened_hook)(void);

#endif
