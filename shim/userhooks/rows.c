/*
 * The rows: one a function that was named, found by its name; and which copy of the function each hooks.
 *
 * Rules: made once, before anything is hooked; a name that several items mean has a row for each.
 */
#include "userhooks/rows.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "userhooks/core.h"
#include "userhooks/object.h"

enum { NAMES_HASH = 1024 };
static uint16_t *row_of_name; /* by hash: the first row, from 1; 0: none */

bool named_rows_begin(void)
{
    row_of_name = mem_alloc(NAMES_HASH * sizeof *row_of_name);
    return row_of_name != NULL;
}

static unsigned name_hash(const char *name)
{
    return (unsigned)(plan_hash(0, name) % NAMES_HASH);
}

unsigned named_row(const char *name)
{
    for (unsigned next = row_of_name ? row_of_name[name_hash(name)] : 0; next;
         next = thunks[next - 1].next) {
        if (!strcmp(thunks[next - 1].name, name))
            return next - 1;
    }
    return THUNKS;
}

unsigned named_next_row(unsigned row)
{
    for (unsigned next = thunks[row].next; next; next = thunks[next - 1].next) {
        if (!strcmp(thunks[next - 1].name, thunks[row].name))
            return next - 1;
    }
    return THUNKS;
}

/* In the order of the rows: of two items for one function the first counts. */
void named_add_row(unsigned row, struct named_hook *hook, const char *name)
{
    struct thunk *thunk = &thunks[row];
    uint16_t *place = &row_of_name[name_hash(name)];

    thunk->name = name;
    thunk->hook = hook;
    thunk->role = THUNK_FUNCTION;
    thunk->is_wanted = hook->spec.how == HOW_AUTO || hook->spec.how == HOW_GOT;
    if (hook->functions++)
        atomic_store(&hook->belief, BELIEF_EACH);
    if (hook->spec.kind == NAMED_SET)
        return; /* only a patch sees every call of a setter */
    while (*place)
        place = &thunks[*place - 1].next;
    *place = (uint16_t)(row + 1);
}

bool named_uses_got(unsigned row)
{
    const struct thunk *thunk = &thunks[row];

    return thunk->is_open || (thunk->is_wanted && !thunk->is_refused &&
                              (thunk->by == HOW_AUTO || thunk->by == HOW_GOT));
}

void named_note_hooked(unsigned row, enum named_how by, const struct elf_module *module)
{
    struct thunk *thunk = &thunks[row];
    struct named_hook *hook = thunk->hook;

    if (thunk->by != HOW_AUTO)
        return;
    thunk->by = (uint8_t)by;
    if (hook->state == HOOK_HOOKED)
        return;
    fmt_buf(hook->where, sizeof hook->where, "%s in %s", thunk->name, module->name);
    hook->by = by;
    hook->state = HOOK_HOOKED;
}

bool named_accepts(unsigned row, const void *target)
{
    const struct named_hook *hook = thunks[row].hook;
    struct elf_module module;

    if (thunks[row].is_refused || !elf_module_at(target, &module) || named_is_generated(&module) ||
        (hook->spec.module && !elf_module_match(&module, hook->spec.module)))
        return false;
    named_note_hooked(row, HOW_GOT, &module);
    return true;
}

unsigned named_thunk(unsigned row, void *target)
{
    struct thunk *thunk = &thunks[row];
    unsigned index;
    void *none = NULL;

    if (!thunk->is_open &&
        (atomic_compare_exchange_strong(&thunk->original, &none, target) || none == target))
        return row;
    index = thunk_take(thunk->hook, THUNK_FUNCTION, target);
    return index ? index : THUNKS;
}
