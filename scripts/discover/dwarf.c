/*
 * What the debug information says of functions: their arguments, numbered as the item of a hook numbers them.
 * From the file itself or its debug file by build-id; without libdw nothing is known.
 *
 * Numbers are right for arguments that each take one register, which pointers and integers do. A function with
 * an argument that does not (a struct by value, a floating-point number before the ones that matter) has none.
 */
#ifdef HAVE_LIBDW
/* Its name is ours too; nobody calls it here. */
#define elf_begin libelf_begin
#include <dwarf.h>
#include <elfutils/libdw.h>
#undef elf_begin
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "discover.h"
#include "dwarf_die.h"
#include "elf/file.h"

struct described {
    uintptr_t start;
    Dwarf_Off die;
};

struct dwarf {
    Dwarf *debug;
    struct described *functions;
    unsigned count;
    bool is_read; /* all units, into functions */
};

static Dwarf *open_debug(const char *path)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    Dwarf *debug = fd < 0 ? NULL : dwarf_begin(fd, DWARF_C_READ);
    Dwarf_Off next;
    size_t size;

    if (debug && dwarf_nextcu(debug, 0, &next, &size, NULL, NULL, NULL) == 0)
        return debug; /* the file stays open with it */
    if (debug)
        dwarf_end(debug);
    if (fd >= 0)
        close(fd);
    return NULL;
}

/* The file that .gnu_debuglink names, in one of the places where debuggers look for it. */
static Dwarf *open_linked(const struct module *module)
{
    struct elf_file file;
    Dwarf *debug = NULL;

    if (elf_file_open_module(&module->elf, &file) && file.debug_link) {
        int folder = (int)(strrchr(module->path, '/') - module->path);

        debug = open_debug(joined("%.*s/%s", folder, module->path, file.debug_link));
        if (!debug)
            debug = open_debug(joined("%.*s/.debug/%s", folder, module->path, file.debug_link));
        if (!debug)
            debug = open_debug(
                joined("%s%.*s/%s", elf_debug_root, folder, module->path, file.debug_link));
    }
    elf_file_close(&file);
    return debug;
}

/* One of which the compiler has put a part elsewhere, what hardly ever runs, has no one place: it begins with the first
 * of them. */
static bool begins_at(Dwarf_Die *die, Dwarf_Addr *out)
{
    Dwarf_Addr base, end;

    return dwarf_entrypc(die, out) == 0 || dwarf_ranges(die, 0, &base, out, &end) > 0;
}

static void note_function(struct dwarf *dwarf, Dwarf_Die *die)
{
    Dwarf_Addr low;

    if (dwarf_tag(die) != DW_TAG_subprogram || !begins_at(die, &low))
        return;
    dwarf->functions = grown(dwarf->functions, dwarf->count, sizeof *dwarf->functions);
    dwarf->functions[dwarf->count++] = (struct described){low, dwarf_dieoffset(die)};
}

static int by_start(const void *one, const void *other)
{
    const struct described *a = one, *b = other;

    return a->start != b->start ? (a->start < b->start ? -1 : 1) : 0;
}

/* Functions stand at the top of a unit, or in namespaces and classes. */
static void visit_children(struct dwarf *dwarf, Dwarf_Die *parent, unsigned depth)
{
    Dwarf_Die child;

    if (depth > 8 || dwarf_child(parent, &child) != 0)
        return;
    do {
        switch (dwarf_tag(&child)) {
        case DW_TAG_subprogram:
            note_function(dwarf, &child);
            visit_children(dwarf, &child, depth + 1);
            break;
        case DW_TAG_namespace:
        case DW_TAG_class_type:
        case DW_TAG_structure_type:
        case DW_TAG_lexical_block:
            visit_children(dwarf, &child, depth + 1);
            break;
        default:
            break;
        }
    } while (dwarf_siblingof(&child, &child) == 0);
}

static struct dwarf *opened(struct names *names)
{
    struct dwarf *dwarf;

    if (names->dwarf)
        return names->dwarf;
    dwarf = names->dwarf = allocated(calloc(1, sizeof *dwarf));
    dwarf->debug = open_debug(names->module->path);
    if (!dwarf->debug && names->build_id[0] && names->build_id[1] && names->build_id[2])
        dwarf->debug = open_debug(joined("%s/.build-id/%.2s/%s.debug", elf_debug_root,
                                         names->build_id, names->build_id + 2));
    if (!dwarf->debug)
        dwarf->debug = open_linked(names->module);
    return dwarf;
}

static void sort_functions(struct dwarf *dwarf)
{
    if (dwarf->count)
        qsort(dwarf->functions, dwarf->count, sizeof *dwarf->functions, by_start);
}

static struct dwarf *dwarf_of(struct names *names)
{
    struct dwarf *dwarf = opened(names);
    Dwarf_Off at = 0, next;
    size_t size;

    if (dwarf->is_read)
        return dwarf;
    dwarf->is_read = true;
    dwarf->count = 0;
    while (dwarf->debug && dwarf_nextcu(dwarf->debug, at, &next, &size, NULL, NULL, NULL) == 0) {
        Dwarf_Die unit;

        if (dwarf_offdie(dwarf->debug, at + size, &unit))
            visit_children(dwarf, &unit, 0);
        at = next;
    }
    sort_functions(dwarf);
    return dwarf;
}

bool dwarf_is_there(struct names *names)
{
    return dwarf_of(names)->count != 0;
}

/* ---- types ---- */

/* What a type is behind its other names and qualifiers. */
bool dwarf_type_behind(Dwarf_Die *of, Dwarf_Die *out)
{
    Dwarf_Attribute attribute;

    if (!dwarf_attr_integrate(of, DW_AT_type, &attribute) || !dwarf_formref_die(&attribute, out))
        return false;
    for (unsigned i = 0; i < 16; i++) {
        int tag = dwarf_tag(out);

        if (tag != DW_TAG_typedef && tag != DW_TAG_const_type && tag != DW_TAG_volatile_type &&
            tag != DW_TAG_restrict_type && tag != DW_TAG_atomic_type)
            return true;
        if (!dwarf_attr_integrate(out, DW_AT_type, &attribute) ||
            !dwarf_formref_die(&attribute, out))
            return false; /* void */
    }
    return false;
}

static bool is_pointer_tag(int tag)
{
    return tag == DW_TAG_pointer_type || tag == DW_TAG_reference_type ||
           tag == DW_TAG_rvalue_reference_type;
}

/* Which of its arguments is `void *`, the last such; else the first pointer. 0: it takes none. */
static unsigned data_argument(Dwarf_Die *function_type)
{
    Dwarf_Die argument, type, behind;
    unsigned number = 0, plain = 0, any = 0;

    if (dwarf_child(function_type, &argument) != 0)
        return 0;
    do {
        if (dwarf_tag(&argument) != DW_TAG_formal_parameter)
            continue;
        number++;
        if (!dwarf_type_behind(&argument, &type) || !is_pointer_tag(dwarf_tag(&type)))
            continue;
        if (!any)
            any = number;
        if (!dwarf_type_behind(&type, &behind))
            plain = number;
    } while (dwarf_siblingof(&argument, &argument) == 0);
    return plain ? plain : any;
}

static bool is_stdfunction(Dwarf_Die *type)
{
    const char *name = dwarf_diename(type);

    return name && !strncmp(name, "function<", 9);
}

/* A struct's members: a pointer to a function, and one to data. */
static void look_into(Dwarf_Die *type, struct parameter *out)
{
    Dwarf_Die member, member_type, behind;

    if (dwarf_child(type, &member) != 0)
        return;
    do {
        Dwarf_Attribute attribute;
        Dwarf_Word offset;

        if (dwarf_tag(&member) != DW_TAG_member || !dwarf_type_behind(&member, &member_type) ||
            dwarf_tag(&member_type) != DW_TAG_pointer_type ||
            !dwarf_attr(&member, DW_AT_data_member_location, &attribute) ||
            dwarf_formudata(&attribute, &offset) != 0 || offset > 4096)
            continue;
        if (!dwarf_type_behind(&member_type, &behind)) {
            if (out->field_data < 0)
                out->field_data = (int)offset;
        } else if (dwarf_tag(&behind) == DW_TAG_subroutine_type && out->field_function < 0 &&
                   data_argument(&behind)) {
            out->field_function = (int)offset;
        }
    } while (dwarf_siblingof(&member, &member) == 0);
}

/* False: it does not take one register. */
static bool describe(Dwarf_Die *die, struct parameter *out)
{
    Dwarf_Die type, behind;
    Dwarf_Attribute attribute;
    Dwarf_Word size;

    memset(out, 0, sizeof *out);
    out->field_function = out->field_data = -1;
    out->name = dwarf_diename(die);
    if (!dwarf_type_behind(die, &type))
        return true;
    switch (dwarf_tag(&type)) {
    case DW_TAG_pointer_type:
    case DW_TAG_reference_type:
    case DW_TAG_rvalue_reference_type:
        out->is_pointer = true;
        if (!dwarf_type_behind(&type, &behind))
            return true;
        if (dwarf_tag(&behind) == DW_TAG_subroutine_type) {
            out->is_function = true;
            out->is_pointer = false;
            out->data_argument = data_argument(&behind);
            out->takes_pointer = out->data_argument != 0;
        } else if (dwarf_tag(&behind) == DW_TAG_structure_type ||
                   dwarf_tag(&behind) == DW_TAG_class_type) {
            out->is_stdfunction = is_stdfunction(&behind);
            out->points_to = dwarf_diename(&behind);
            look_into(&behind, out);
        }
        return true;
    case DW_TAG_base_type:
        return dwarf_attr(&type, DW_AT_encoding, &attribute) &&
               dwarf_formudata(&attribute, &size) == 0 && size != DW_ATE_float;
    case DW_TAG_enumeration_type:
        return true;
    case DW_TAG_structure_type:
    case DW_TAG_class_type:
        /* By value it has a destructor, so its address is handed over. */
        out->is_stdfunction = is_stdfunction(&type);
        if (out->is_stdfunction)
            return true;
        return dwarf_aggregate_size(&type, &size) == 0 && size <= 8 &&
               dwarf_tag(&type) == DW_TAG_structure_type;
    default:
        return false;
    }
}

static bool read_signature(Dwarf_Die *die, struct signature *out)
{
    Dwarf_Die child, origin, type, *from = die;
    Dwarf_Attribute attribute;

    memset(out, 0, sizeof *out);
    /* A function that was cloned for its place, or stands outside of its class, says so of another. */
    if (dwarf_attr(die, DW_AT_abstract_origin, &attribute) &&
        dwarf_formref_die(&attribute, &origin))
        from = &origin;
    if (dwarf_type_behind(from, &type) &&
        (dwarf_tag(&type) == DW_TAG_structure_type || dwarf_tag(&type) == DW_TAG_class_type)) {
        Dwarf_Word size;

        if (dwarf_aggregate_size(&type, &size) != 0 || size > 16)
            out->count = 1; /* where the answer goes is the first argument */
    }
    if (dwarf_child(from, &child) != 0)
        return true;
    do {
        if (dwarf_tag(&child) != DW_TAG_formal_parameter)
            continue;
        if (out->count == ARGUMENTS_MAX || !describe(&child, &out->parameter[out->count]))
            break;
        out->count++;
    } while (dwarf_siblingof(&child, &child) == 0);
    return true;
}

static bool find_start(const struct dwarf *dwarf, uintptr_t start, Dwarf_Die *out)
{
    struct described wanted_one = {.start = start}, *found;

    if (!dwarf->count)
        return false;
    found = bsearch(&wanted_one, dwarf->functions, dwarf->count, sizeof *found, by_start);
    return found && dwarf_offdie(dwarf->debug, found->die, out);
}

bool dwarf_function(struct names *names, uintptr_t start, Dwarf_Die *out)
{
    return find_start(dwarf_of(names), start, out);
}

/* By the file's table of addresses; clang makes none. */
static bool find_unit(Dwarf *debug, uintptr_t start, Dwarf_Die *out)
{
    Dwarf_Off at = 0, next;
    size_t size;

    if (dwarf_addrdie(debug, start, out))
        return true;
    for (; dwarf_nextcu(debug, at, &next, &size, NULL, NULL, NULL) == 0; at = next) {
        if (dwarf_offdie(debug, at + size, out) && dwarf_haspc(out, start) == 1)
            return true;
    }
    return false;
}

bool dwarf_one_function(struct names *names, uintptr_t start, Dwarf_Die *out)
{
    struct dwarf *dwarf = opened(names);
    Dwarf_Die unit;

    if (dwarf->is_read)
        return find_start(dwarf, start, out);
    dwarf->count = 0;
    if (!dwarf->debug || !find_unit(dwarf->debug, start, &unit))
        return false;
    visit_children(dwarf, &unit, 0);
    sort_functions(dwarf);
    return find_start(dwarf, start, out);
}

bool dwarf_signature(struct names *names, const struct function *function, struct signature *out)
{
    Dwarf_Die die;

    return dwarf_function(names, function->start, &die) && read_signature(&die, out);
}

void dwarf_each(struct names *names,
                void (*visit)(const struct function *function, const struct signature *signature,
                              void *arg),
                void *arg)
{
    struct dwarf *dwarf = dwarf_of(names);

    for (unsigned i = 0; i < dwarf->count; i++) {
        const struct function *function = names_function(names, dwarf->functions[i].start);
        struct signature signature;
        Dwarf_Die die;

        if (function && function->start == dwarf->functions[i].start &&
            dwarf_offdie(dwarf->debug, dwarf->functions[i].die, &die) &&
            read_signature(&die, &signature))
            visit(function, &signature, arg);
    }
}

#else
#include "discover.h"

bool dwarf_is_there(struct names *names)
{
    return false;
}

bool dwarf_signature(struct names *names, const struct function *function, struct signature *out)
{
    return false;
}

void dwarf_each(struct names *names,
                void (*visit)(const struct function *function, const struct signature *signature,
                              void *arg),
                void *arg)
{
}
#endif
