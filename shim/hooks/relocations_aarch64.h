/* Relocations whose place holds a pointer to a function, AArch64. */
#ifndef BATON_HOOKS_RELOCATIONS_AARCH64_H
#define BATON_HOOKS_RELOCATIONS_AARCH64_H

#include <elf.h>

enum {
    RELOCATION_PLT = R_AARCH64_JUMP_SLOT,
    RELOCATION_GOT = R_AARCH64_GLOB_DAT,
    RELOCATION_POINTER = R_AARCH64_ABS64,
};

#endif
