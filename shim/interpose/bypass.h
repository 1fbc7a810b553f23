/* Ways to a hooked function that lead past this library, and how they are led back to it. */
#ifndef BATON_INTERPOSE_BYPASS_H
#define BATON_INTERPOSE_BYPASS_H

#include <stdbool.h>

#include "interpose/hooks.h"

/* The row of a hooked function, whether or not its family is on; HOOK_COUNT: it is none. */
enum hook_id bypass_row(const char *name);

/* FILE was opened with RTLD_DEEPBIND, so it and what came with it looked into their own libraries
 * first: their pointers to what we hook get to be ours. Before anybody else uses it. False: there were
 * none. */
bool bypass_opened(void *handle);

/* Would dlopen find the same file if we called it in place of CALLER? */
bool bypass_may_open_for(const char *file, const void *caller);

/* dlsym for CALLER asks for a name that we hook, in a way that may miss us. */
bool bypass_concerns(void *handle, const char *name, const void *caller);
/* What such a dlsym answers instead of ADDRESS, which it has found. */
void *bypass_answer(void *handle, const char *name, void *address);

/* What the program sees under the name of a hook. */
void *bypass_exported(const char *name);

/* Keys are carried, and a module that came with the program has functions for keys of its own, in front
 * of us or for itself: told when asked for. Calls nothing foreign. */
bool bypass_makes_keys_native(void);

/* No key is carried: what came with the program reads its keys without us. */
void bypass_keys(void);

/* Ours, unless the loader is told that we have none (names_ask): who looks it up is told of what is there. */
void *bypass_ours_or(const char *name, void *address);

/*
 * Who may find a name that is not everybody's. The loader searches for a module that came later in libraries that it needs,
 * too, and for RTLD_NEXT in these alone, where we are not. Our body goes by its caller, so ours is the answer
 * only where there is no choice.
 */
enum bypass_place {
    BYPASS_EVERYWHERE, /* what everybody sees decides */
    BYPASS_OWN,        /* the caller's own libraries have it: bypass_answer_own */
    BYPASS_LOADER,     /* the loader's answer is right */
};
enum bypass_place bypass_look_own(void *handle, const char *name, const void *caller);
void *bypass_answer_own(const char *name, const void *caller);

#endif
