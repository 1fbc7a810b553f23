/* The generated object in this process (object.c), and the patches that it plans (patch_ARCH.c). */
#ifndef BATON_USERHOOKS_OBJECT_H
#define BATON_USERHOOKS_OBJECT_H

#include "elf/elf.h"
#include "userhooks/plan.h"

/* Is it the object that `baton run` wrote? */
bool named_is_generated(const struct elf_module *module);
/* The generated object's; NULL: there is none. */
const struct plan *object_plan(void);
/* Is it a plan, whole, in SIZE bytes? */
bool plan_is_sound(const struct plan *plan, size_t size);
const struct plan_row *plan_row(const struct plan *plan, unsigned row);
/* NULL: none is planned. */
const struct plan_patch *plan_patch_of(const struct plan *plan, unsigned row);
const char *plan_name(const struct plan *plan, unsigned row);
/* The function that the object's thunk of this number stands for, whatever the settings say now. */
const char *object_name(unsigned index);

/*
 * replan.c: a plan for this very program, made by baton-plan as a process of its own, or found where an
 * earlier one left it. NULL: there is none, and REASON says why.
 */
const struct plan *replan(uint64_t settings, char **environment, char *reason, size_t n);

/*
 * Makes the function's entry lead to `thunk`; the answer is where the function can be called as it
 * was. NULL: nothing was changed, `reason` says why; "" when the module is not loaded. `where` gets
 * the module.
 */
void *patch_apply(const struct plan_patch *patch, void *thunk, struct elf_module *where,
                  char *reason, size_t n);

/* All are written: the program gets its descriptors without one of ours among them. */
void patch_end(void);

#endif
