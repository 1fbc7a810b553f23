/*
 * The generated object, seen from inside: its plan, and the names behind its thunks. It may have been
 * written for other settings than these (a program changed its environment and started another one):
 * then only the names are used, so that calls pass through.
 */
#include "userhooks/object.h"

#include <string.h>

#include "elf/elf.h"
#include "userhooks/got.h"

static const struct plan *found;
static bool has_looked;

bool named_is_generated(const struct elf_module *module)
{
    return module->soname && !strcmp(module->soname, GENERATED_OBJECT);
}

static size_t plan_size_used(const struct plan *plan)
{
    return sizeof *plan + plan->hooks * sizeof(struct plan_hook) +
           plan->patches * sizeof(struct plan_patch);
}

static int visit(const struct elf_module *module, void *arg)
{
    struct elf_symbol symbol;
    const struct plan *plan;

    if (!named_is_generated(module) ||
        !elf_dynsym_find(module, PLAN_SYMBOL, NULL, ELF_ANY, &symbol))
        return 0;
    plan = (const struct plan *)symbol.value;
    if (symbol.size < sizeof *plan || plan->magic != PLAN_MAGIC || plan->size > symbol.size ||
        plan->hooks > NAMED_MAX || plan->patches > NAMED_MAX || plan_size_used(plan) > plan->size)
        return 0;
    *(const struct plan **)arg = plan;
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

const struct plan_hook *object_hook(const struct plan *plan, unsigned index)
{
    return (const struct plan_hook *)(plan + 1) + index;
}

const struct plan_patch *object_patch(const struct plan *plan, unsigned index)
{
    const struct plan_patch *patches =
        (const struct plan_patch *)(((uintptr_t)object_hook(plan, plan->hooks) + 7) &
                                    ~(uintptr_t)7);

    for (unsigned i = 0; i < plan->patches; i++) {
        if (patches[i].hook == index)
            return &patches[i];
    }
    return NULL;
}

const char *object_name(unsigned index)
{
    const struct plan *plan = object_plan();
    const struct plan_hook *hook;

    if (!plan || index >= plan->hooks)
        return NULL;
    hook = object_hook(plan, index);
    if (hook->name >= plan->size || ((const char *)plan)[plan->size - 1] != '\0')
        return NULL;
    return (const char *)plan + hook->name;
}
