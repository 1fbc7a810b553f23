/* shape.c: what debug information says of one argument or answer; for those that include libdw's headers. */
#ifndef BATON_DISCOVER_SHAPE_H
#define BATON_DISCOVER_SHAPE_H

#include "dwarf_die.h"

enum class { CLASS_UNKNOWN, CLASS_VOID, CLASS_WORD, CLASS_POINTER, CLASS_OTHER };

/* An argument or an answer. */
struct shape {
    enum class class;
    unsigned long size; /* its own; of a pointer: of what it points at, 0: not known */
    char text[80];      /* as C has it */
    Dwarf_Die type;     /* behind other names; of a pointer: what it points at */
    bool has_type;
};

/* Of what has a type: a parameter, a function (its answer), a pointer (what it points at). */
void shape_describe(Dwarf_Die *of, struct shape *out);
/* Is it in one register, or may it be? */
bool shape_is_in_register(const struct shape *shape);

#endif
