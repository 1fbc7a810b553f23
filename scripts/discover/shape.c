/*
 * One argument or answer of a function, by its debug information: what of it the places of items can mean.
 */
#ifdef HAVE_LIBDW
#include <stdio.h>
#include <string.h>

#define elf_begin libelf_begin
#include <dwarf.h>
#include <elfutils/libdw.h>
#undef elf_begin

#include "discover.h"
#include "shape.h"

static void say_type(Dwarf_Die *of, char *buf, size_t n, unsigned depth)
{
    Dwarf_Die type;
    Dwarf_Attribute attribute;
    const char *name;
    size_t len;

    if (depth > 8 || !dwarf_attr_integrate(of, DW_AT_type, &attribute) ||
        !dwarf_formref_die(&attribute, &type)) {
        snprintf(buf, n, "void");
        return;
    }
    name = dwarf_diename(&type);
    switch (dwarf_tag(&type)) {
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        say_type(&type, buf, n, depth + 1);
        len = strlen(buf);
        snprintf(buf + len, n - len, "%s", len && buf[len - 1] == '*' ? "*" : " *");
        return;
    case DW_TAG_const_type:
        say_type(&type, buf, n, depth + 1);
        return;
    case DW_TAG_structure_type:
        snprintf(buf, n, "struct %s", name ? name : "...");
        return;
    case DW_TAG_subroutine_type:
        snprintf(buf, n, "function");
        return;
    default:
        snprintf(buf, n, "%s", name ? name : "...");
    }
}

static unsigned long size_of(Dwarf_Die *type)
{
    Dwarf_Word size;

    return dwarf_aggregate_size(type, &size) == 0 ? (unsigned long)size : 0;
}

void shape_describe(Dwarf_Die *of, struct shape *out)
{
    Dwarf_Die type, behind;
    Dwarf_Attribute attribute;
    Dwarf_Word encoding;

    memset(out, 0, sizeof *out);
    say_type(of, out->text, sizeof out->text, 0);
    if (!dwarf_type_behind(of, &type)) {
        out->class = CLASS_VOID;
        return;
    }
    out->size = size_of(&type);
    out->type = type;
    out->has_type = true;
    switch (dwarf_tag(&type)) {
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        out->class = CLASS_POINTER;
        out->has_type = dwarf_type_behind(&type, &behind);
        out->size = out->has_type && dwarf_tag(&behind) != DW_TAG_subroutine_type ? size_of(&behind)
                                                                                  : 0;
        out->type = behind;
        return;
    case DW_TAG_enumeration_type:
        out->class = CLASS_WORD;
        return;
    case DW_TAG_base_type:
        if (dwarf_attr(&type, DW_AT_encoding, &attribute) &&
            dwarf_formudata(&attribute, &encoding) == 0)
            out->class = encoding == DW_ATE_float || encoding == DW_ATE_complex_float ||
                                 out->size > sizeof(void *)
                             ? CLASS_OTHER
                             : CLASS_WORD;
        return;
    case DW_TAG_structure_type:
    case DW_TAG_union_type:
        out->class = out->size > sizeof(void *) ? CLASS_OTHER : CLASS_UNKNOWN;
        return;
    default:
        return;
    }
}

bool shape_is_in_register(const struct shape *shape)
{
    return shape->class == CLASS_WORD || shape->class == CLASS_POINTER ||
           shape->class == CLASS_UNKNOWN;
}
#endif
