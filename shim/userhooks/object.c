/*
 * The generated object, seen from inside: its plan, and the names behind its thunks. It may have been
 * written for other settings than these (a program changed its environment and started another one):
 * then only the names are used, so that calls pass through.
 */
#include "userhooks/object.h"

#include <string.h>

#include "elf/elf.h"

static const struct plan *found;
static bool has_looked;

bool named_is_generated(const struct elf_module *module)
{
    return module->soname && !strcmp(module->soname, GENERATED_OBJECT);
}

bool plan_is_sound(const struct plan *plan, size_t size)
{
    return size >= sizeof *plan && plan->magic == PLAN_MAGIC && plan->size <= size &&
           plan->items <= plan->rows && plan->rows <= PLAN_ROWS && plan->patches <= plan->rows &&
           sizeof *plan + plan->rows * sizeof(struct plan_row) +
                   plan->patches * sizeof(struct plan_patch) <
               plan->size &&
           !((const char *)plan)[plan->size - 1];
}

static int visit(const struct elf_module *module, void *arg)
{
    struct elf_symbol symbol;

    if (!named_is_generated(module) ||
        !elf_dynsym_find(module, PLAN_SYMBOL, NULL, ELF_ANY, &symbol) ||
        !plan_is_sound((const struct plan *)symbol.value, symbol.size))
        return 0;
    *(const struct plan **)arg = (const struct plan *)symbol.value;
    return 1;
}

const struct plan *object_plan(void)
{
    const struct plan *plan = NULL;

    if (__atomic_load_n(&has_looked, __ATOMIC_ACQUIRE))
        return found;
    elf_each_module(visit, &plan);
    found = plan;
    __atomic_store_n(&has_looked, true, __ATOMIC_RELEASE);
    return plan;
}

const struct plan_row *plan_row(const struct plan *plan, unsigned row)
{
    return (const struct plan_row *)(plan + 1) + row;
}

const struct plan_patch *plan_patch_of(const struct plan *plan, unsigned row)
{
    const struct plan_patch *patches =
        (const struct plan_patch *)(((uintptr_t)plan_row(plan, plan->rows) + 7) & ~(uintptr_t)7);

    for (unsigned i = 0; i < plan->patches; i++) {
        if (patches[i].row == row)
            return &patches[i];
    }
    return NULL;
}

const char *plan_name(const struct plan *plan, unsigned row)
{
    const struct plan_row *planned = plan_row(plan, row);

    return planned->name < plan->size ? (const char *)plan + planned->name : NULL;
}

const char *object_name(unsigned index)
{
    const struct plan *plan = object_plan();

    return plan && index < plan->rows ? plan_name(plan, index) : NULL;
}
