/* What higher rooms ask of the loader's hooks. */
#ifndef BATON_INTERPOSE_LOADER_H
#define BATON_INTERPOSE_LOADER_H

/* From now on what is opened for us is noted as what the program opens. */
void loader_begin(void);

/* A library is about to be opened. NULL: nobody asks. */
extern void (*loader_opened_hook)(void);

/* Look-ups are watched although nothing is carried: a library that was opened is there when something is looked up
 * in it, which CAME is told of. Before hooks_init. */
void loader_watch(void (*came)(void));

#endif
