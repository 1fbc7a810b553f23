/* The rows of the bank, by name: what got.c looks for, and calls.c is asked for. */
#ifndef BATON_USERHOOKS_ROWS_H
#define BATON_USERHOOKS_ROWS_H

#include "elf/elf.h"
#include "userhooks/named.h"

/* False: no memory. */
bool named_rows_begin(void);
/* In the order of the rows: of two items for one function the first counts. */
void named_add_row(unsigned row, struct named_hook *hook, const char *name);

/* The first row for a function of that name, and the next one of the same; THUNKS: there is none. */
unsigned named_row(const char *name);
unsigned named_next_row(unsigned row);
/* Is the row one whose pointers are to be looked for? */
bool named_uses_got(unsigned row);
/* The row's function was found in MODULE, and is hooked; the first time counts. */
void named_note_hooked(unsigned row, enum named_how by, const struct elf_module *module);
/* Is `target`, which a pointer of the row's name leads to, the function that the item means? */
bool named_accepts(unsigned row, const void *target);
/* The thunk in front of this copy of the function; THUNKS: the bank is full. */
unsigned named_thunk(unsigned row, void *target);

#endif
