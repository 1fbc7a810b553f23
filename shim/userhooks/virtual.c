/* kind=virtual, before it is used: a wrap thunk for each slot of the hook. */
#include "userhooks/virtual.h"

#include "base/mem.h"
#include "userhooks/core.h"

static bool add_slot(struct named_hook *hook, struct named_virtual *shadows, unsigned slot)
{
    unsigned which = shadows->set.count;
    unsigned index =
        thunk_take(hook, THUNK_VIRTUAL, (void *)(uintptr_t)&named_virtual_slots[which]);

    shadows->set.replaced[which] = (struct vtable_slot){slot, thunk_address(index, true)};
    shadows->set.count += index != 0;
    return index != 0;
}

void named_virtual_begin(struct named_hook *hook)
{
    struct named_virtual *shadows = mem_alloc(sizeof *shadows);
    bool is_fine = shadows != NULL;

    for (unsigned i = 0; is_fine && i < hook->spec.slots_count; i++)
        is_fine = add_slot(hook, shadows, hook->spec.slots[i]);
    for (unsigned i = 0; is_fine && i < hook->spec.ends_count; i++)
        is_fine = add_slot(hook, shadows, hook->spec.ends[i]);
    if (is_fine)
        hook->shadows = shadows;
    else
        mem_free(shadows, sizeof *shadows);
}
