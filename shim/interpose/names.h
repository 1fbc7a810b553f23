/* Names that we export and whose library is not loaded (see names.c). */
#ifndef BATON_INTERPOSE_NAMES_H
#define BATON_INTERPOSE_NAMES_H

#include "interpose/hooks.h"

enum names_place {
    NAME_IS_THERE, /* everybody finds it */
    NAME_IS_SOMEBODYS, /* a library has it that was opened later, or it is there for old programs only */
    NAME_IS_ABSENT, /* the loader does not find ours either, until names_show */
};

/* Where the function is that a lookup of this name is after. */
enum names_place names_look(enum hook_id id);

/* Something is being opened: what is not there may come with it. */
void names_show(void);

/* Looks the name up as if we were not there. */
void *names_look_without_us(enum hook_id id, void *(*look_up)(void *handle, const char *name),
                            void *handle);

#endif
