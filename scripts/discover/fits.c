/*
 * Whether a function is what an item of fn: or swap: takes it for, by its debug information: for baton check, which
 * starts this because it needs libdw, and a start of a program does not.
 *
 * Promise: what is said not to fit does not: an argument or an answer that is not in the register that the item has it
 * in, or of another size, or of another type than the function beside it has. What is not known fits. What would fit is
 * said.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discover.h"

#ifdef HAVE_LIBDW
#define elf_begin libelf_begin
#include <dwarf.h>
#include <elfutils/libdw.h>
#undef elf_begin
#include "shape.h"

struct function_shape {
    unsigned count; /* of arguments */
    bool is_known;  /* all of them are */
    struct shape answer, first;
};

/* At -g1 functions have neither arguments nor types: nothing is known of them. */
static bool has_lines_alone(Dwarf_Die *die)
{
    Dwarf_Die unit;
    Dwarf_Attribute attribute;
    const char *by = dwarf_diecu(die, &unit, NULL, NULL)
                         ? dwarf_formstring(dwarf_attr(&unit, DW_AT_producer, &attribute))
                         : NULL;
    const char *option = by ? strstr(by, " -g1") : NULL;

    return option && (option[4] == ' ' || !option[4]);
}

static void describe_function(Dwarf_Die *die, struct function_shape *out)
{
    Dwarf_Die child, origin, *from = die;
    Dwarf_Attribute attribute;

    memset(out, 0, sizeof *out);
    if (has_lines_alone(die))
        return;
    if (dwarf_attr(die, DW_AT_abstract_origin, &attribute) &&
        dwarf_formref_die(&attribute, &origin))
        from = &origin;
    shape_describe(from, &out->answer);
    out->is_known = dwarf_hasattr_integrate(from, DW_AT_prototyped) ||
                    dwarf_hasattr_integrate(from, DW_AT_linkage_name);
    if (dwarf_child(from, &child) != 0)
        return;
    do {
        if (dwarf_tag(&child) == DW_TAG_unspecified_parameters)
            out->is_known = false;
        if (dwarf_tag(&child) != DW_TAG_formal_parameter)
            continue;
        out->is_known = true;
        if (!out->count++)
            shape_describe(&child, &out->first);
    } while (dwarf_siblingof(&child, &child) == 0);
}

/* "int (int *)" */
static void say_signature(const struct function_shape *shape)
{
    printf("%s (%s%s)", shape->answer.text, shape->count ? shape->first.text : "void",
           shape->count > 1 ? ", ..." : "");
}

static void say_function(const struct function_shape *shape)
{
    printf("it is ");
    say_signature(shape);
}

/* What would fit of a function that reads: its form is another. */
static bool say_reader(const struct function_shape *shape)
{
    if (!shape->count && shape->answer.class == CLASS_POINTER && shape->answer.size)
        printf("; at=F,size=%lu if that is where the thread has it, get=F if it is the value",
               shape->answer.size);
    else if (!shape->count && shape_is_in_register(&shape->answer))
        printf("; get=F,set=G fits a function that returns the value");
    else if (shape->count == 1 && shape->first.class == CLASS_POINTER)
        printf("; fill=F,size=%lu fits a function that writes the value to an address",
               shape->first.size ? shape->first.size : sizeof(void *));
    return false;
}

static bool bad(const struct function_shape *shape, const char *wanted_text)
{
    printf("it does not fit: ");
    say_function(shape);
    printf(", expected %s", wanted_text);
    return false;
}

/* Bytes behind a pointer: SIZE of them are one object, or several. */
static bool is_of_size(const struct shape *shape, unsigned long size)
{
    return !shape->size || (size >= shape->size && size % shape->size == 0);
}

static bool say_size(const struct function_shape *shape, const struct shape *of)
{
    printf("it does not fit: ");
    say_function(shape);
    printf(", whose value has %lu bytes: size=%lu", of->size, of->size);
    return false;
}

static bool fits(const struct function_shape *shape, const char *role, unsigned long size)
{
    bool has_one = shape->count == 1 || !shape->is_known;

    if (!strcmp(role, "get")) {
        if ((shape->is_known && shape->count) || !shape_is_in_register(&shape->answer))
            return bad(shape,
                       "a function that takes nothing and returns a pointer or an integer") ||
                   say_reader(shape);
    } else if (!strcmp(role, "fill")) {
        if (!has_one || (shape->count && shape->first.class != CLASS_POINTER &&
                         shape->first.class != CLASS_UNKNOWN))
            return bad(shape, "a function that takes the address to write to") || say_reader(shape);
        if (shape->count && !is_of_size(&shape->first, size))
            return say_size(shape, &shape->first);
    } else if (!strcmp(role, "at")) {
        if ((shape->is_known && shape->count) ||
            (shape->answer.class != CLASS_POINTER && shape->answer.class != CLASS_UNKNOWN))
            return bad(shape, "a function that takes nothing and returns an address") ||
                   say_reader(shape);
        if (!is_of_size(&shape->answer, size))
            return say_size(shape, &shape->answer);
    } else if (!strcmp(role, "put")) {
        if (!has_one || (shape->count && shape->first.class == CLASS_WORD) ||
            shape->first.class == CLASS_OTHER)
            return bad(shape, "a function that takes the value's address; set=F takes the value");
        if (shape->count && shape->first.class == CLASS_POINTER && !is_of_size(&shape->first, size))
            return say_size(shape, &shape->first);
    } else {
        if (!has_one || (shape->count && !shape_is_in_register(&shape->first)))
            return bad(shape, "a function that takes a pointer or an integer");
        if (shape->count && size && shape->first.class == CLASS_WORD && shape->first.size &&
            shape->first.size != size)
            return say_size(shape, &shape->first);
        if (shape->count && size && size != sizeof(void *) && shape->first.class == CLASS_POINTER)
            return bad(shape, "a function that takes the value; put=F takes its address");
        if (!strcmp(role, "swap") && !shape_is_in_register(&shape->answer))
            return bad(shape, "a function that returns the value before");
    }
    return true;
}

/* ---- what one function answers, and the other takes ---- */

static bool is_struct(Dwarf_Die *type)
{
    int tag = dwarf_tag(type);

    return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

/* A class may be a part of another one's objects. */
static bool is_derived(Dwarf_Die *type)
{
    Dwarf_Die child;

    if (dwarf_child(type, &child) != 0)
        return false;
    do {
        if (dwarf_tag(&child) == DW_TAG_inheritance)
            return true;
    } while (dwarf_siblingof(&child, &child) == 0);
    return false;
}

/* Structs of two names are two. */
static bool are_others(struct shape *a, struct shape *b)
{
    const char *names[2];

    if (!a->has_type || !b->has_type || !is_struct(&a->type) || !is_struct(&b->type))
        return false;
    names[0] = dwarf_diename(&a->type);
    names[1] = dwarf_diename(&b->type);
    return names[0] && names[1] && strcmp(names[0], names[1]) != 0 && !is_derived(&a->type) &&
           !is_derived(&b->type);
}

static bool is_same_value(struct shape *a, struct shape *b)
{
    if (a->class == CLASS_POINTER && b->class == CLASS_POINTER)
        return !are_others(a, b);
    if (a->class == CLASS_WORD && b->class == CLASS_WORD)
        return a->size == b->size;
    if (a->class == CLASS_POINTER && b->class == CLASS_WORD)
        return b->size == sizeof(void *);
    return a->class != CLASS_WORD || b->class != CLASS_POINTER || a->size == sizeof(void *);
}

/* What F of get=F returns, or F of fill=F writes, is what the others take. */
static bool fits_reader(const struct function_shape *shape, struct function_shape *reader,
                        const char *role, bool is_filled)
{
    struct shape first = shape->first;
    bool is_same;

    if (!shape->count || (is_filled && !reader->count))
        return true;
    if (!is_filled)
        is_same = is_same_value(&reader->answer, &first);
    else
        is_same = strcmp(role, "put") != 0 || !are_others(&reader->first, &first);
    if (is_same)
        return true;
    printf("it does not fit: ");
    say_function(shape);
    printf(", and the function of %s is ", is_filled ? "fill=" : "get=");
    say_signature(reader);
    return false;
}

static bool describe(unsigned module, const char *address, struct function_shape *out)
{
    Dwarf_Die die;

    if (!dwarf_function(names_of(&modules[module]), strtoul(address, NULL, 16), &die))
        return false;
    describe_function(&die, out);
    return true;
}

int verb_fits(char *words[], unsigned count)
{
    struct function_shape shape, reader;
    const char *role = words[2];

    if (!modules_add(words[0]) || !describe(0, words[1], &shape))
        return 0;
    if (!fits(&shape, role, strtoul(words[3], NULL, 10)))
        return 1;
    if (count < 7 || !modules_add(words[4]) || !describe(modules_count - 1, words[5], &reader))
        return 0;
    return !fits_reader(&shape, &reader, role, !strcmp(words[6], "fill"));
}

#else
int verb_fits(char *words[], unsigned count)
{
    (void)words;
    (void)count;
    return 0;
}
#endif
