/* The generated object in this process (object.c), and the patches that it plans (patch_ARCH.c). */
#ifndef BATON_USERHOOKS_OBJECT_H
#define BATON_USERHOOKS_OBJECT_H

#include "elf/elf.h"
#include "userhooks/plan.h"

/* NULL: there is none. */
const struct plan *object_plan(void);
const struct plan_hook *object_hook(const struct plan *plan, unsigned index);
/* NULL: none is planned. */
const struct plan_patch *object_patch(const struct plan *plan, unsigned index);
/* The function that the object's thunk of this number stands for, whatever the settings say now. */
const char *object_name(unsigned index);

/*
 * Makes the function's entry lead to `thunk`; the answer is where the function can be called as it
 * was. NULL: nothing was changed, `reason` says why; "" when the module is not loaded. `where` gets
 * the module.
 */
void *patch_apply(const struct plan_patch *patch, void *thunk, struct elf_module *where,
                  char *reason, size_t n);

#endif
