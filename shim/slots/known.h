/* Known contexts: what the word `auto` of BATON_CARRY may choose. userhooks/known.conf has them as data,
 * userhooks/spec_known.c reads it; here is when one of them is in a process. */
#ifndef BATON_SLOTS_KNOWN_H
#define BATON_SLOTS_KNOWN_H

#include <stdbool.h>

#include "elf/elf.h"

enum { KNOWN_CONDITIONS = 4 };

struct known {
    const char *name, *about, *file; /* file: where it stands */
    /*
     * One is enough. Each is words between spaces, all of which must hold:
     *   MODULE          a library of this name is loaded, as in @MODULE of an item
     *   uses:SYMBOL     the program, or a library that is no part of the system, imports SYMBOL
     *   exports:SYMBOL  a module exports SYMBOL
     *   has:SYMBOL      the program, or a library that is no part of the system, has it among all its symbols
     */
    const char *condition[KNOWN_CONDITIONS];
    unsigned condition_count;
    bool may_hold[KNOWN_CONDITIONS]; /* of the last look: a condition's first word holds */
    bool is_here;                    /* since known_look has found it so; it stays so */
    bool is_chosen;                  /* something of it is carried, or hooked */
    char because[128];               /* what was found, as a part of a sentence */
};

extern bool known_is_on; /* `auto` stands in BATON_CARRY */
extern struct known *known_all;
extern unsigned known_count;

/* Who visits the modules: of this process, unless baton-plan sets its own. */
extern int (*known_each_module)(int (*visit)(const struct elf_module *module, void *arg),
                                void *arg);

/* Looks for all that is not there yet, if a module has come since. Takes the loader's lock, reads files for
 * has: only. Whoever calls it holds a lock, or is alone. */
void known_look(void);

/* In a folder of the system's libraries itself, not in one of a package's own below it; never the program. */
bool known_is_of_the_system(const struct elf_module *module);

/* Is TEXT a condition? False: EXPECTED says what one looks like. */
bool known_condition_is_right(const char *text, const char **expected);

#endif
