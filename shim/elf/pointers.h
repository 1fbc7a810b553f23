/* Pointers to functions in the loaded modules, as the loader's relocations filled them: the slots of
 * calls through the PLT (lazy or bound at start), of -fno-plt, of tables of function pointers.
 *
 * Call context: any thread, no lock is taken. The module must be relocated: the loader makes its
 * read-only pages so when it is done, and a page that we make so earlier would stop it.
 */
#ifndef BATON_ELF_POINTERS_H
#define BATON_ELF_POINTERS_H

#include "elf/elf.h"

struct elf_pointer {
    const char *name; /* the symbol that the relocation is for */
    void **place;
    bool is_call; /* of the PLT: may not be bound yet */
};

/* Calls VISIT for each pointer of MODULE until it answers false. */
void elf_each_pointer(const struct elf_module *module,
                      bool (*visit)(const struct elf_module *module,
                                    const struct elf_pointer *pointer, void *arg),
                      void *arg);

/* The pointer leads into its own module because the lazy binder has not run. */
bool elf_pointer_is_lazy(const struct elf_module *module, const struct elf_pointer *pointer,
                         void *value);

/*
 * False: the loader is still relocating MODULE, in another thread: what it makes read-only in the end can be written. Known
 * of such pages only; one system call.
 */
bool elf_pointer_is_relocated(const struct elf_module *module, void *const *place);

/* Writes it as one word; a page that the loader made read-only is writable for that long. */
bool elf_pointer_write(const struct elf_module *module, void **place, void *value);

/*
 * Some names to be found among tens of thousands. `at` has, for each of the first three characters, a bit for every
 * one that they have there (ELF_NAMES_BIT), so that nearly all others are told apart without a comparison.
 */
struct elf_names {
    const char *const *names;
    size_t count;
    uint64_t at[3];
};
#define ELF_NAMES_BIT(c) ((uint64_t)1 << ((unsigned char)(c)&63))

/* The place of NAME among them; `count`: it is none of them. */
size_t elf_names_find(const struct elf_names *names, const char *name);

/* As elf_each_pointer, for pointers to those that MODULE asks others for, and for some more. Reads the names that it
 * asks for, and no relocation when none is among them. */
void elf_each_pointer_to(const struct elf_module *module, const struct elf_names *names,
                         bool (*visit)(const struct elf_module *module,
                                       const struct elf_pointer *pointer, void *arg),
                         void *arg);

#endif
