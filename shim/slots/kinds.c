/* The kinds that an item may begin with, in the order in which messages name them. */
#include <string.h>

#include "slots/kind.h"
#include "slots/slots.h"

const struct slot_kind *const slot_kinds[SLOT_KINDS] = {
    &slot_kind_key,  &slot_kind_tls,  &slot_kind_fn,     &slot_kind_swap,    &slot_kind_locale,
    &slot_kind_fenv, &slot_kind_name, &slot_kind_ioprio, &slot_kind_storage, &slot_kind_adapter,
};

const struct slot_kind *slot_kind_find(const char *name, size_t len)
{
    for (unsigned i = 0; i < SLOT_KINDS; i++) {
        const struct slot_form *form = slot_kinds[i]->form;

        if (*form->name == *name && len < sizeof form->name && !form->name[len] &&
            !memcmp(form->name, name, len))
            return slot_kinds[i];
    }
    return NULL;
}
