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
    void *memory;
    size_t memory_len;
};
extern struct module modules[MODULES_MAX];
extern unsigned modules_count;

/* modules.c: the program and what the loader would load with it, mapped to be read. False: said why,
 * unless IS_QUIET. */
/* From now on a file that changes while it is looked at ends this process with CUT, after a sentence. */
enum { CUT = 4 };
void modules_watch_cut(void);
bool modules_load(const char *program, bool is_quiet);
/* As elf_each_module: every module, until VISIT answers other than 0, which is the answer. */
int modules_each(int (*visit)(const struct elf_module *module, void *arg), void *arg);
/* A library that the program will open. */
bool modules_add(const char *path);
/* Gives all of them back. */
void modules_forget(void);
/* Opens what has the module's own table of symbols (out->symtab): its file, or its debug file; to be closed. False:
 * neither has, and nothing is open. */
struct elf_file;
bool modules_open_symbols(const struct module *module, struct elf_file *out);

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
/* Is its address somewhere in the module's data, as a virtual function's is in a vtable? Then whoever calls
 * it through that gives it the arguments that its source says. */
bool modules_is_in_table(const struct module *module, uintptr_t address);
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
    struct named_spec spec; /* of the item; its function is the row's */
    unsigned item;
    struct plan_row row;        /* by, module, reason */
    struct plan_patch patch;    /* by == HOW_PATCH */
    char note[256];             /* what is to be known although it is hooked; "" when nothing */
    bool is_missing;            /* no such function anywhere: silent at run time */
    const struct module *where; /* with the function at `address` of it; NULL: not found */
    uintptr_t address;
};
/* ONLY: look in that module; NULL: in all that the item may mean. */
void decide(const struct named_spec *spec, const struct module *only, struct decision *out);

/* match.c: the functions that a pattern, or a name as the source has it, stands for; at most MAX. 0: none,
 * or more than it may mean, and REASON says which; "" when there is simply none. */
struct candidate {
    const struct module *module;
    const char *name;
    uintptr_t address; /* in the file */
};
unsigned match_functions(const struct named_spec *spec, struct candidate *out, unsigned max,
                         char *reason, size_t n);

/* near.c: up to three names like it, "NAME in MODULE, NAME in MODULE". False: there are none, or nobody
 * would read them (near_is_wanted): it is slow. */
extern bool near_is_wanted;
bool near_names(const char *name, const char *user_module, unsigned want, char *buf, size_t n);

/* offset.c: the function at MODULE+0xOFFSET. False: none begins there in this module, or it is another. */
bool offset_find(const struct module *module, const char *text, struct elf_symbol *out);

/* explain.c: why a name is not found and what to do, as a part of a sentence. False: no idea. */
/* Whether explain_missing names packages: dpkg takes half a second for one, for which no program's start waits. */
extern bool explain_names_packages;
bool explain_missing(const char *name, const char *user_module, unsigned want, char *buf, size_t n);
/* Is what the adapter NAME waits for in the program? Says so in BUF either way. */
bool explain_adapter(const char *name, char *buf, size_t n);

/* auto.c: the word `auto` of BATON_CARRY, decided for PROGRAM, whose modules are loaded only if it stands there. False:
 * they cannot be. Then known_is_on tells. */
bool auto_read(struct config *config, const char *program, bool is_quiet, bool *is_loaded);
/* Is `auto` all that was asked for, with nothing chosen? */
bool auto_is_empty(const struct config *config);
/* Says what was chosen and why, or that nothing was; and what may be meant besides. False: nothing. */
bool auto_check(void);

/* fits.c: is the function NAME of SLOT, at ADDRESS, what the item takes it for, as far as debug information says? False:
 * WHY says why not, and what fits. */
struct slot;
bool fits_check(const struct slot *slot, const char *name, const struct module *module,
                uintptr_t address, char *why, size_t n);

/* Starts WORDS[0], with IN as its standard input (-1: none); what it says is in BUF. Answers what it exits with; -1: it
 * did not. */
int fits_ask(char *const words[], int in, char *buf, size_t n);
/* Where baton-discover is. False: not beside us. */
bool fits_helper(char *path, size_t n);
/* fits_hooks.c: whichever of the functions has other arguments than its item says is not hooked. */
void fits_hooks(struct decision *decisions, unsigned rows);

/* patch.c: plans the displacement of a function's first instructions. False: REASON says why not. */
bool patch_plan(const struct module *module, uintptr_t function, size_t size,
                struct plan_patch *out, char *reason, size_t n);

/* carry.c: says what becomes of the items of BATON_CARRY. False: not all of them will work. */
bool carry_check(void);

/* plan_data.c: the plan itself, as the library reads it; its size. */
size_t plan_data(void *buffer, size_t n, const struct decision *decisions, unsigned rows,
                 unsigned items);

/* object.c: the object around a plan; its size. */
size_t object_make(unsigned char *buffer, size_t n, const struct decision *decisions, unsigned rows,
                   unsigned items);

/* folder.c: where objects and plans lie, folders that only this user can write to.
 *
 * Writes DATA under a name made of its content, a file of that MODE, into the first folder from which code
 * can be mapped; its path is in PATH. False: REASON says why in none. */
bool folder_keep_object(const void *data, size_t size, unsigned mode, char *path, size_t n,
                        char *reason, size_t reason_n);
bool folder_is_there(char *problem, size_t n);
/* Writes DATA as NAME, where the library or the launcher looks for it; does nothing where that cannot be done. */
void folder_keep(const void *data, size_t size, const char *name);

/* answer.c: what the launcher is answered, kept for its next run with the same KEY; before anything is read,
 * answer_begin. OBJECT: "" when none is needed. */
void answer_begin(void);
void answer_keep(const char *key, const char *program, const struct config *config, int status,
                 const char *object);

#endif
