/* Finding the function behind a hooked name. */
#ifndef BATON_HANDOFFS_NEXT_H
#define BATON_HANDOFFS_NEXT_H

#include <stdbool.h>

/*
 * What RTLD_NEXT would find from our library in what was loaded with the program. Such a definition
 * wins for every caller and stays loaded: the answer may be kept. NULL: nobody has it.
 */
void *next_find_startup(const char *name);

/*
 * The copy that `caller`'s library is bound to when only libraries loaded later have the name: they
 * may be RTLD_LOCAL (where RTLD_NEXT fails) and there may be several. Cached by caller.
 */
void *next_find_for(const char *name, const void *caller);

/* A library may have been unloaded: forget what was found by caller. */
void next_forget(void);

#endif
