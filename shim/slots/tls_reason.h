/* Between tls.c, which finds thread-local variables, and tls_reason.c, which says of which not to take the bytes. */
#ifndef BATON_SLOTS_TLS_REASON_H
#define BATON_SLOTS_TLS_REASON_H

#include "elf/elf.h"
#include "slots/slots.h"

/* NULL: the item's variable, which is `symbol` of the module, may be carried. */
const char *tls_reason(const struct slot *slot, const struct elf_module *module,
                       const struct elf_symbol *symbol);
/* What the module calls the item's variable, also where the item has a '*'; then it is written to `full`, ELF_FULL bytes. */
const char *tls_whole_name(const struct slot *slot, const struct elf_module *module, char *full);

#endif
