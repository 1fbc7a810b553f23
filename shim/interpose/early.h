/* Before any constructor: what is done while the loader relocates this library. */
#ifndef BATON_INTERPOSE_EARLY_H
#define BATON_INTERPOSE_EARLY_H

#include <link.h>
#include <stdbool.h>

#include "elf/elf.h"
#include "interpose/hooks.h"

/* Nothing is configured and no module that came with the program uses include/baton.h: nothing of ours
 * is to be seen. The loader runs early.c for the answer. */
bool early_is_idle(void) __attribute__((visibility("hidden")));

/* Our own tables of names, as the loader reads them. Writable where the linker put them so. */
struct early_names {
    elf_sym *symbols;
    const char *strings;
    size_t first, end; /* those that are defined */
    ElfW(Addr) * bloom;
    uint32_t bloom_count, bloom_shift;
    bool is_writable;
};
extern struct early_names early_names __attribute__((visibility("hidden")));

/* Has any module that came with the program, but this library, a function of that name? Calls nobody. */
bool early_is_startup(enum hook_id id) __attribute__((visibility("hidden")));

/* Has any module by now? */
bool early_is_there(enum hook_id id) __attribute__((visibility("hidden")));

/* A library that was opened later is there for everybody (RTLD_GLOBAL). */
extern bool early_is_mixed __attribute__((visibility("hidden")));

#endif
