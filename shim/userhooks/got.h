/* Between named.c, which knows the hooks, and got.c, which finds the pointers. */
#ifndef BATON_USERHOOKS_GOT_H
#define BATON_USERHOOKS_GOT_H

#include "elf/elf.h"
#include "userhooks/named.h"

/* Points the loaded modules' pointers to named functions at the thunks. */
void got_patch_modules(void);

/* dlsym as the program's modules call it, and as it is (thunks_ARCH.S jumps there). */
void named_dlsym(void);
extern void *(*named_real_dlsym)(void *handle, const char *name)
    __attribute__((visibility("hidden")));

/* The first row for a function of that name, and the next one of the same; THUNKS: there is none. */
unsigned named_row(const char *name);
unsigned named_next_row(unsigned row);
/* Is the row one whose pointers are to be looked for? */
bool named_uses_got(unsigned row);
/* Is `target`, which a pointer of the row's name leads to, the function that the item means? */
bool named_accepts(unsigned row, const void *target);
/* The thunk in front of this copy of the function; THUNKS: the bank is full. */
unsigned named_thunk(unsigned row, void *target);
/* Is it the object that `baton run` wrote? */
bool named_is_generated(const struct elf_module *module); /* object.c */

#endif
