/* The pointers of the loaded modules that lead to named functions. */
#ifndef BATON_USERHOOKS_GOT_H
#define BATON_USERHOOKS_GOT_H

#include <stdbool.h>

/* Points the loaded modules' pointers to named functions at the thunks. */
/* False: another thread loads one of them at this moment, so this has to be done again. */
bool got_patch_modules(void);

/* dlsym as it is (thunks_ARCH.S jumps there). */
extern void *(*named_real_dlsym)(void *handle, const char *name)
    __attribute__((visibility("hidden")));

#endif
