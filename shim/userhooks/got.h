/* The pointers of the loaded modules that lead to named functions. */
#ifndef BATON_USERHOOKS_GOT_H
#define BATON_USERHOOKS_GOT_H

/* Points the loaded modules' pointers to named functions at the thunks. */
void got_patch_modules(void);

/* dlsym as it is (thunks_ARCH.S jumps there). */
extern void *(*named_real_dlsym)(void *handle, const char *name)
    __attribute__((visibility("hidden")));

#endif
