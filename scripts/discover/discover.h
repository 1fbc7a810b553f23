/* baton-discover: what a program could have carried, found in its files and in what a run has noted down. */
#ifndef BATON_DISCOVER_H
#define BATON_DISCOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "plan.h"
#include "text.h"

enum { ARGUMENTS_MAX = 6 };

/* ---- names.c: the functions and thread-local variables of a module, by symbols or without ---- */

struct function {
    const char *name;     /* NULL: nobody has written one down */
    uintptr_t start, end; /* in the file's own addresses */
    bool is_exported;
    bool is_local; /* static in its file, by every name that it has */
};

struct variable {
    const char *name; /* NULL: known by the code that uses it only */
    size_t offset, size;
};

struct names {
    struct module *module;
    const char *shown; /* its name in items: main, or the file's up to the first dot or dash */
    struct function *functions; /* by address */
    unsigned functions_count;
    struct variable *variables; /* by offset */
    unsigned variables_count;
    bool is_stripped; /* neither .symtab nor a debug file */
    char build_id[2 * 32 + 1];
    struct code *code;   /* NULL: not looked at */
    struct dwarf *dwarf; /* the same */
};

/* Reads them; answers the same for the same module. */
struct names *names_of(struct module *module);
struct names *names_of_path(const char *path);
/* The name of the variable that stands at ADDRESS. */
bool names_data(struct names *names, uintptr_t address, char *buf, size_t n);
const struct function *names_function(const struct names *names, uintptr_t address);
/* A name for a function as an item has it: NAME, or MODULE+0xOFFSET. In a buffer that stays for a while. */
const char *names_shown(const struct names *names, const struct function *function);
/* The item that carries it, behind "tls:". */
const char *names_item(const struct names *names, const struct variable *variable);

/* ---- code.c: what the instructions say (x86-64, Zydis) ---- */

enum access { ACCESS_READ = 1, ACCESS_WRITE = 2, ACCESS_ADDRESS = 4 };

/* One place that uses a thread-local variable. */
struct use {
    unsigned function; /* index of names->functions */
    struct names *of;  /* the variable's module */
    size_t offset;
    unsigned size;   /* 0: not known */
    unsigned access; /* bits; READ | WRITE: one instruction changes it */
};

/* A function's argument, or one that was kept: stored into an object at OFFSET. */
struct stored {
    unsigned function, argument; /* argument: from 1 */
    int offset;
};

/* `call *[R + callee]` with the first argument loaded from [R + data], or the object itself. */
struct called {
    unsigned function;
    bool
        is_virtual; /* R was loaded from the start of the first argument, which is none of the function's own */
    int callee, data; /* data: -1: the object itself, -2: not known */
};

/* A std::function of libstdc++ that a function moves out of where an argument points to: what of that was seen. */
enum moved_part {
    MOVED_FUNCTOR = 1,
    MOVED_MANAGER = 2,
    MOVED_INVOKER = 4,
    MOVED_CLEARED = 8, /* what was there is empty now */
    MOVED_ALL = 15
};
struct moved {
    unsigned function, argument, parts;
};

struct code {
    struct use *uses;
    unsigned uses_count;
    struct stored *stores;
    unsigned stores_count;
    struct called *calls;
    unsigned calls_count;
    struct moved *moves;
    unsigned moves_count;
    unsigned (*edges)[2]; /* a direct call or jump: from, to */
    unsigned edges_count;
    bool *is_taken;    /* its address is in data or an instruction */
    bool *is_indirect; /* it calls through a pointer that is no import */
};

/* False: built without Zydis, or for another processor. */
bool code_is_known(void);
struct code *code_of(struct names *names);
/* Adds the variables that the code of this module uses and that have no name. */
void code_variables(struct names *names);
/* Marks in REACHED what can be called, directly, from what is marked. */
void code_close(const struct names *names, bool *reached);

/* ---- dwarf.c: what the debug information says ---- */

struct parameter {
    const char *name;
    bool is_function, is_pointer, is_stdfunction;
    bool takes_pointer;     /* a function whose first argument is a pointer */
    unsigned data_argument; /* which argument of that function looks like the data: from 1 */
    /* a pointer to a struct with a pointer to a function, and one to data, in it: offsets, -1: none */
    int field_function, field_data;
    const char *points_to; /* the name of the struct or class that it points to; NULL */
};
struct signature {
    unsigned count;
    struct parameter parameter[ARGUMENTS_MAX];
};
/* False: no debug information, or not of this function. */
bool dwarf_signature(struct names *names, const struct function *function, struct signature *out);
bool dwarf_is_there(struct names *names);
/* Every function that takes one and a pointer behind it. */
void dwarf_each(struct names *names,
                void (*visit)(const struct function *function, const struct signature *signature,
                              void *arg),
                void *arg);
/* The item that says which arguments are what; false: nothing fits. */
bool dwarf_item(const struct signature *signature, const char *function, char *buf, size_t n);

/* ---- the verbs ---- */

int verb_static(const char *program, bool is_json);
/* baton check asks: 1, and the reason, if the function in FILE at ADDRESS does not fit ROLE in an item, or does not take what
 * the reader of the item answers. WORDS: FILE ADDRESS ROLE SIZE, then FILE ADDRESS ROLE of the reader or nothing. */
int verb_fits(char *words[], unsigned count);
/* baton-plan asks for named hooks: see fits_hook.c. */
int verb_fits_hooks(const char *path);
int verb_lines(void);
int verb_judge(const char *facts, bool is_json, const char *conf);

/* ---- util.c ---- */

void *grown(void *list, unsigned count, size_t size);
/* Prints TEXT as a string of JSON. */
void print_json(const char *text);
/* Is it a library whose handoffs are hooked by name, or a function of hooks.def? */
const char *family_of_function(const char *name);
/* preset:NAME, of which an item names this function; NULL: there is none. */
const char *preset_of_function(const char *name);
const char *known_context(const char *library);

#endif
