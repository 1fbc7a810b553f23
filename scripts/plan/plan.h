/* baton-plan: what can be known of a program and its functions without running it. */
#ifndef BATON_PLAN_H
#define BATON_PLAN_H

#include "base/config.h"
#include "elf/elf.h"
#include "userhooks/plan.h"

enum { MODULES_MAX = 512 };

struct module {
    struct elf_module elf;
    char path[4096];
    bool is_later; /* opened by the program while it runs */
};
extern struct module modules[MODULES_MAX];
extern unsigned modules_count;

/* modules.c: the program and what the loader would load with it, mapped to be read. False: said why. */
bool modules_load(const char *program);
/* A library that the program will open. */
bool modules_add(const char *path);

/* modules_ask.c: what a mapped module is asked.
 *
 * Names of functions NAME.something, the compiler's clones, written to BUF; how many. Another name of
 * the function at ADDRESS itself (0: none) is no clone. */
unsigned modules_clones(const struct module *module, const char *name, uintptr_t address, char *buf,
                        size_t n);
/* Another name of the function at ADDRESS: an alias, or one of the same code that was folded into it. */
bool modules_twin(const struct module *module, const char *name, uintptr_t address, char *buf,
                  size_t n);
/* Has only the linker made this local function one, so that its compiler kept its arguments? */
bool modules_was_global(const struct module *module, const char *name, uintptr_t address);
/* Was it compiled with checks of indirect calls (clang -fsanitize=cfi-icall)? */
bool modules_checks_calls(const struct module *module);
/* Is this symbol exported, so that the loader decides who is called? */
bool modules_exports(const struct module *module, const char *name);
/* Does the module call its own function without asking the loader (-Bsymbolic)? */
bool modules_calls_directly(const struct module *module, uintptr_t function);
/* Do these bytes belong to no function? False also when the module's symbols are not to be had. */
bool modules_is_free(const struct module *module, uintptr_t address, size_t len);
/* Is there a call of that name that the loader resolves? */
bool modules_imports(const struct module *module, const char *name);

/* find.c: one item, decided. */
struct decision {
    struct plan_hook hook;   /* by, module, reason */
    struct plan_patch patch; /* by == HOW_PATCH */
    char note[256];          /* what is to be known although it is hooked; "" when nothing */
    bool is_missing;         /* no such function anywhere: silent at run time */
};
void decide(const struct named_spec *spec, unsigned index, struct decision *out);

/* near.c: up to three names like it, "NAME in MODULE, NAME in MODULE". False: there are none. */
bool near_names(const char *name, const char *user_module, unsigned want, char *buf, size_t n);

/* explain.c: why a name is not found and what to do, as a part of a sentence. False: no idea. */
bool explain_missing(const char *name, const char *user_module, unsigned want, char *buf, size_t n);
/* Is what the adapter NAME waits for in the program? Says so in BUF either way. */
bool explain_adapter(const char *name, char *buf, size_t n);

/* patch.c: plans the displacement of a function's first instructions. False: REASON says why not. */
bool patch_plan(const struct module *module, uintptr_t function, size_t size,
                struct plan_patch *out, char *reason, size_t n);

/* carry.c: says what becomes of the items of BATON_CARRY. False: not all of them will work. */
bool carry_check(void);

/* object.c: writes the object, a file of that MODE, into the folder PATH, to which its name is added;
 * true when it is there. */
bool object_write(char *path, size_t n, unsigned mode, const struct named_spec *specs,
                  const struct decision *decisions, unsigned count);

#endif
