/* thread_local objects of a known type: what tls.c makes a kind of. */
#ifndef BATON_SLOTS_TYPED_H
#define BATON_SLOTS_TYPED_H

#include "slots/slots.h"

struct typed;

/* A codec that is not loaded yet. NULL: no memory. */
struct typed *typed_new(const char *file, const char *prefix);
/* Why the object cannot be carried by its codec, for whom its file is enough; NULL: it can. */
const char *typed_reason(const struct slot *slot, const struct elf_module *module);
/* Loads the codec and notes where the object is. Why it cannot be; NULL: it is bound. */
const char *typed_bind(struct slot *slot, const struct elf_module *module,
                       const struct elf_symbol *symbol);

/* As in struct slot_kind. */
bool typed_hold(const struct slot *slot, void **owned);
bool typed_lend(const struct slot *slot, void *owned, void **borrowed);
void typed_reclaim(const struct slot *slot, void *borrowed, bool is_thread);
void typed_let_go(const struct slot *slot, void *owned);
bool typed_can_exchange(const struct slot *slot);
void typed_exchange(const struct slot *slot, void **state);

#endif
