/*
 * The one door that leads up: the start of everything, which init.c defines.
 *
 * The first call that reaches us may come before any constructor has run, so nobody can have
 * registered a function to call. Absent (NULL) in the unit suites, which start nothing.
 * scripts/check-layers knows these names and no other.
 */
#ifndef BATON_INTERPOSE_START_H
#define BATON_INTERPOSE_START_H

#include <stdbool.h>

/* Settings are read and the rooms are set up. False: too early (there is no environment yet), or it
 * is being done. NULL: the C library's environ. Keeps errno. */
bool baton_start(char **environment) __attribute__((weak, visibility("hidden")));

/* Carrying is wanted after all (include/baton.h is used). Cheap once it is on. Keeps errno. */
void baton_activate(void) __attribute__((weak, visibility("hidden")));

/* The loader is relocating us, and something is to be done in this process: before every constructor, so
 * that whoever else registers something does so after us. No thread-local storage may be touched. */
void baton_relocated(void) __attribute__((weak, visibility("hidden")));

#endif
