/* Relocations whose place holds a pointer to a function, x86-64. */
#ifndef BATON_HOOKS_RELOCATIONS_X86_64_H
#define BATON_HOOKS_RELOCATIONS_X86_64_H

#include <elf.h>

enum {
    RELOCATION_PLT = R_X86_64_JUMP_SLOT,
    RELOCATION_GOT = R_X86_64_GLOB_DAT,
    RELOCATION_POINTER = R_X86_64_64,
};

#endif
