/* What the kernel told the program at its start, read where it stands: asking the C library takes a search for its function
 * first, at every start that carries. */
#ifndef BATON_BASE_AUXV_H
#define BATON_BASE_AUXV_H

#include <sys/auxv.h>

/* Where the arguments, the environment and these begin; noted while the loader starts the program (interpose/early.c).
 * NULL: not known, then the C library is asked. */
extern const long *auxv_stack __attribute__((visibility("hidden")));

/* As getauxval, for what a library does not change (AT_HWCAP it may). */
unsigned long auxv_get(unsigned long type);

#endif
