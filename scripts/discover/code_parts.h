/* What the readers of instructions have in common: code.c, code_values.c, code_found.c (x86-64, by Zydis). */
#ifndef BATON_DISCOVER_CODE_PARTS_H
#define BATON_DISCOVER_CODE_PARTS_H

#include <Zydis/Zydis.h>

#include "discover.h"
#include "elf/file.h"

enum kind {
    UNKNOWN,
    THREAD_POINTER,
    THREAD_OFFSET, /* of a variable from the thread pointer */
    VARIABLE,      /* its address */
    DESCRIPTOR,    /* the address of a TLS descriptor of it */
    INDEX,         /* the address of what __tls_get_addr takes */
    ARGUMENT,
    INSIDE, /* of what an argument points to, `offset` bytes behind its start */
    LOADED  /* from `base` at `offset` */
};

struct value {
    enum kind kind;
    struct names *of;
    int64_t offset;
    unsigned argument;
    unsigned id, base; /* two registers with one id hold the same */
};

enum { GENERAL = 16, SLOTS = 48, ARGUMENT_REGISTERS = 6, STARTS = 32 };

/* What the loader would write there. */
struct relocation {
    uintptr_t at;
    unsigned type;
    uint32_t symbol;
    int64_t addend;
};

struct reading {
    struct names *names;
    struct code *code;
    const struct elf_module *elf;
    struct relocation *relocations;
    unsigned relocations_count;
    int64_t block; /* where the program's own block is before the thread pointer */
    unsigned function;
    struct value general[GENERAL], vector[16][2];
    struct {
        int base;
        int64_t offset;
        struct value value;
    } slots[SLOTS];
    unsigned slots_next;
    struct {
        unsigned id, object; /* it was loaded from the object's start: perhaps its vtable */
    } starts[STARTS];
    unsigned starts_next;
    unsigned next_id;
    bool has_frame; /* rbp is the function's frame pointer, and no object */
};

struct place {
    bool is_variable, is_slot, is_object;
    struct names *of;
    int64_t offset;
    int base;
};

/* ---- code_values.c ---- */

/* All of them, in the order of their places. */
void code_read_relocations(struct reading *r);
/* What lies in the file at an address. */
int64_t code_word_at(const struct reading *r, uintptr_t address);

/* Its number, -1: no such register. */
int code_general_of(ZydisRegister reg);
int code_vector_of(ZydisRegister reg);
struct value code_fresh(struct reading *r);
/* A place on the stack, by the register that it is relative to; NULL: nothing is known of it. */
struct value *code_slot_of(struct reading *r, int base, int64_t offset, bool is_made);
void code_begin_function(struct reading *r);
void code_after_call(struct reading *r);

/* What a memory operand means. */
struct place code_place_of(struct reading *r, const ZydisDecodedOperand *operand);
/* What a register holds after a load of it. `rip`: the address that it may be relative to. */
struct value code_loaded(struct reading *r, const ZydisDecodedOperand *operand, uintptr_t rip);
/* ... after its address was taken. */
struct value code_address_of(struct reading *r, const ZydisDecodedOperand *operand, uintptr_t rip);

/* ---- code_found.c: what is noted down ---- */

void code_add_use(struct reading *r, struct names *of, int64_t offset, unsigned size,
                  unsigned access);
void code_add_store(struct reading *r, unsigned argument, int64_t offset);
void code_add_moved(struct reading *r, unsigned argument, unsigned part);
void code_add_called(struct reading *r, unsigned base, int64_t offset);
void code_take_address(struct reading *r, uintptr_t address);
void code_add_edge(struct reading *r, uintptr_t target);

#endif
