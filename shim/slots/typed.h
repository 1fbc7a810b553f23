/* thread_local objects of a known type: what tls.c makes a kind of. */
#ifndef BATON_SLOTS_TYPED_H
#define BATON_SLOTS_TYPED_H

#include "slots/slots.h"

struct typed;
struct typed_known;
struct elf_module;
struct elf_symbol;

#define TYPED_FORM \
    "codec=string, codec=shared_ptr, codec=map-string-string or codec=/FILE.so[:PREFIX]"
#define TYPED_OTHER_SIZE "its codec is for a type of another size"
#define TYPED_NO_MAKER                                                                             \
    "no initialiser and no guard: a plain variable needs no codec; where several files have one, " \
    "say which with #FILE.cc; clang leaves none for a static variable outside of a function"
#define TYPED_LACKS_FUNCTIONS "its codec lacks PREFIX_construct, _clone, _assign or _destroy"

/* One of ours by the word after codec=; NULL: there is none of that name. */
const struct typed_known *typed_known_find(const char *word);
const char *typed_known_prefix(const struct typed_known *known);
/* Its file for the library that the variable's module uses, below the folder of this library. Why there is none;
 * NULL: PATH has it. Looks at the module's file only. */
const char *typed_known_file(const struct typed_known *known, const struct elf_module *module,
                             const struct slot *slot, const struct elf_symbol *symbol, char *path,
                             size_t n);

/* A codec that is not loaded yet; KNOWN: one of ours, FILE is then our folder. NULL: no memory. */
struct typed *typed_new(const char *file, const char *prefix, const struct typed_known *known);
/* Why the object cannot be carried by its codec, for whom its file is enough; NULL: it can. */
const char *typed_reason(const struct slot *slot, const struct elf_module *module,
                         const struct elf_symbol *symbol);
/* The file of the user's own codec, and what its functions' names begin with. NULL: it is one of ours. */
const char *typed_codec(const struct slot *slot, const char **prefix);
/* Loads the codec and notes where the object is. Why it cannot be; NULL: it is bound. */
const char *typed_bind(struct slot *slot, const struct elf_module *module,
                       const struct elf_symbol *symbol, const struct slots_calls *upwards);

/* As in struct slot_kind. */
bool typed_hold(const struct slot *slot, void **owned);
bool typed_lend(const struct slot *slot, void *owned, void **borrowed);
void typed_reclaim(const struct slot *slot, void *borrowed, bool is_thread);
void typed_let_go(const struct slot *slot, void *owned);
bool typed_can_exchange(const struct slot *slot);
void typed_exchange(const struct slot *slot, void **state);

#endif
