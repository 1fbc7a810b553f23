/*
 * Whether functions that named hooks name have the arguments that their items say, by debug information: for baton-plan,
 * which starts this because it needs libdw. Asked on standard input, a line a function: its address in the file in hex, then
 * what is asked of it, a letter and a position each:
 *
 *   fN.M  argument N is a function, which gets what it is given as its argument M (M 0: nobody asks)
 *   aN    argument N is what a function is given, and may be exchanged for an address
 *   oN    argument N is an address, or a number as large;  nN  any number, too
 *   mN.B  argument N is an object's address, which has a pointer at byte B;  sN  it is a std::function, or its address
 *   r, R  it answers one word; two
 *
 * Answered in the same order, a line each: why it does not fit, or nothing.
 *
 * Promise: what is said not to fit does not. Positions are counted while each argument is certain to lie in one register or
 * in none; beyond the first that is not (a small struct by value, an object whose way its language has not said) everything
 * fits, as does what has no debug information, or takes too long to be found in it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "discover.h"

#ifdef HAVE_LIBDW
#define elf_begin libelf_begin
#include <dwarf.h>
#include <elfutils/libdw.h>
#undef elf_begin
#include "shape.h"

enum { PLACES = 6, SECONDS = 5, BYTES = 1 << 30, IN_TWO = 16, STD_FUNCTION = 32 };

struct places {
    struct shape of[PLACES];
    unsigned count;
    bool is_whole; /* there are no others */
    bool has_answer, has_large_answer;
    struct shape answer;
    char text[400];
};

enum way { WAY_REGISTER, WAY_NOWHERE, WAY_UNKNOWN };

static bool is_object(Dwarf_Die *type)
{
    int tag = dwarf_tag(type);

    return tag == DW_TAG_structure_type || tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

static int language_of(Dwarf_Die *die)
{
    Dwarf_Die unit;

    return dwarf_diecu(die, &unit, NULL, NULL) ? dwarf_srclang(&unit) : 0;
}

static bool is_c(int language)
{
    return language == DW_LANG_C89 || language == DW_LANG_C || language == DW_LANG_C99 ||
           language == DW_LANG_C11;
}

static bool is_cxx(int language)
{
    return language == DW_LANG_C_plus_plus || language == DW_LANG_C_plus_plus_03 ||
           language == DW_LANG_C_plus_plus_11 || language == DW_LANG_C_plus_plus_14;
}

/* How an object of TYPE is given by value: its address in a register, or itself on the stack. */
static enum way way_of_object(Dwarf_Die *type)
{
#ifdef __x86_64__
    Dwarf_Attribute attribute;
    Dwarf_Word convention = 0, size;

    if (dwarf_attr(type, DW_AT_calling_convention, &attribute))
        dwarf_formudata(&attribute, &convention);
    if (convention == DW_CC_pass_by_reference)
        return WAY_REGISTER;
    if ((convention == DW_CC_pass_by_value || is_c(language_of(type))) &&
        dwarf_aggregate_size(type, &size) == 0 && size > IN_TWO)
        return WAY_NOWHERE;
#else
    (void)type;
#endif
    return WAY_UNKNOWN;
}

/* A number with a point takes no place; one of 16 bytes takes two, or none. */
static enum way way_of(Dwarf_Die *parameter, struct shape *shape)
{
    Dwarf_Die type;

    shape_describe(parameter, shape);
    if (shape->class == CLASS_WORD || shape->class == CLASS_POINTER)
        return WAY_REGISTER;
    if (!dwarf_type_behind(parameter, &type))
        return WAY_UNKNOWN;
    if (is_object(&type)) {
        shape->class = CLASS_OTHER;
        return way_of_object(&type);
    }
    return dwarf_tag(&type) == DW_TAG_base_type && shape->class == CLASS_OTHER &&
                   shape->size <= sizeof(double)
               ? WAY_NOWHERE
               : WAY_UNKNOWN;
}

/* False: nothing is known from the start. */
static bool begin_with_answer(Dwarf_Die *from, struct places *out)
{
    Dwarf_Die type;

    shape_describe(from, &out->answer);
    out->has_answer = true;
    if (!dwarf_type_behind(from, &type) || !is_object(&type))
        return true;
#ifdef __x86_64__
    switch (way_of_object(&type)) {
    case WAY_REGISTER: /* by the address that it is given */
    case WAY_NOWHERE:
        out->has_large_answer = true;
        snprintf(out->of[0].text, sizeof out->of[0].text, "the answer's address");
        out->of[0].class = CLASS_POINTER;
        out->count = 1;
        return true;
    default:
        break;
    }
    /* In two registers, if it is C's. */
    return is_c(language_of(&type));
#else
    return false;
#endif
}

static void say_more(struct places *out, const char *text)
{
    size_t len = strlen(out->text);

    snprintf(out->text + len, sizeof out->text - len, "%s", text);
}

/* Of a function, or of a function's type. */
static void find_places(Dwarf_Die *from, bool is_type, struct places *out)
{
    int language = language_of(from);
    bool is_certain = begin_with_answer(from, out), has_any = false;
    Dwarf_Die child;

    snprintf(out->text, sizeof out->text, "%s (", out->answer.text);
    out->is_whole = is_certain && (is_c(language) || is_cxx(language));
    if (dwarf_child(from, &child) == 0) {
        do {
            int tag = dwarf_tag(&child);
            struct shape shape;
            enum way way;

            if (tag == DW_TAG_unspecified_parameters || tag == DW_TAG_GNU_formal_parameter_pack)
                is_certain = out->is_whole = false;
            if (tag != DW_TAG_formal_parameter)
                continue;
            way = way_of(&child, &shape);
            say_more(out, has_any ? ", " : "");
            say_more(out, shape.text);
            has_any = true;
            is_certain &= way != WAY_UNKNOWN;
            out->is_whole &= is_certain;
            if (is_certain && way == WAY_REGISTER && out->count < PLACES)
                out->of[out->count++] = shape;
        } while (dwarf_siblingof(&child, &child) == 0);
    }
    /* Without any it may be that they were left out: little is known at -g1. */
    if (!has_any)
        out->is_whole &= is_type && dwarf_hasattr(from, DW_AT_prototyped);
    say_more(out, has_any ? ")" : "void)");
}

static bool points_at_function(struct shape *shape)
{
    return shape->class == CLASS_POINTER && shape->has_type &&
           dwarf_tag(&shape->type) == DW_TAG_subroutine_type;
}

/* Something else is certain to be there than a function. */
static bool points_at_data(struct shape *shape)
{
    int tag = shape->class == CLASS_POINTER && shape->has_type ? dwarf_tag(&shape->type) : 0;

    return tag == DW_TAG_base_type || tag == DW_TAG_pointer_type ||
           tag == DW_TAG_enumeration_type || tag == DW_TAG_structure_type ||
           tag == DW_TAG_class_type || tag == DW_TAG_union_type;
}

static bool is_small(const struct shape *shape)
{
    return shape->class == CLASS_WORD && shape->size && shape->size < sizeof(void *);
}

/* What is smaller than one cannot hold it; what is larger may be derived of it, or have it as its first member. */
static bool is_no_stdfunction(struct shape *shape)
{
    if (is_small(shape) || points_at_function(shape))
        return true;
    if (shape->class == CLASS_WORD || !shape->has_type)
        return false;
    return (shape->size && shape->size < STD_FUNCTION) ||
           (is_object(&shape->type) && is_c(language_of(&shape->type)));
}

/* Is what an object holds at OFF of another size than a pointer? */
static bool is_no_pointer_at(struct shape *shape, unsigned off)
{
    Dwarf_Die member, type;
    Dwarf_Attribute attribute;
    Dwarf_Word at, size;

    if (shape->class != CLASS_POINTER || !shape->has_type || !is_object(&shape->type) ||
        dwarf_child(&shape->type, &member) != 0)
        return false;
    do {
        if (dwarf_tag(&member) == DW_TAG_member &&
            dwarf_attr(&member, DW_AT_data_member_location, &attribute) &&
            dwarf_formudata(&attribute, &at) == 0 && at == off &&
            dwarf_type_behind(&member, &type) && dwarf_tag(&type) == DW_TAG_base_type)
            return dwarf_aggregate_size(&type, &size) == 0 && size != sizeof(void *);
    } while (dwarf_siblingof(&member, &member) == 0);
    return false;
}

static void bad(const struct places *places, unsigned position, const char *wanted)
{
    printf("its argument %u is %s, expected %s: it is %s", position, places->of[position - 1].text,
           wanted, places->text);
}

/* The callback has no such argument, or a small number there. */
static bool is_callback_fit(struct shape *shape, unsigned cbarg)
{
    struct places gets = {.count = 0};

    if (!cbarg || !points_at_function(shape))
        return true;
    find_places(&shape->type, true, &gets);
    if (cbarg > gets.count) {
        if (!gets.is_whole)
            return true;
        printf("its callback has no argument %u in a register: it is %s", cbarg, gets.text);
        return false;
    }
    if (is_small(&gets.of[cbarg - 1]) || points_at_function(&gets.of[cbarg - 1])) {
        printf("argument %u of its callback is %s, expected an address: it is %s", cbarg,
               gets.of[cbarg - 1].text, gets.text);
        return false;
    }
    return true;
}

static bool is_answer_fit(const struct places *places, bool is_of_two)
{
    if (!places->count || !places->has_answer)
        return true; /* without arguments nothing may be said of the answer, too */
    if (places->answer.class == CLASS_VOID || places->has_large_answer) {
        printf("it answers nothing in a register: it is %s", places->text);
        return false;
    }
    if (is_of_two &&
        (places->answer.class == CLASS_WORD || places->answer.class == CLASS_POINTER)) {
        printf("it answers one word: it is %s", places->text);
        return false;
    }
    return true;
}

static bool is_place_fit(struct places *places, char role, unsigned position, unsigned detail)
{
    struct shape *shape = &places->of[position - 1];

    if (position > places->count) {
        if (!places->is_whole)
            return true;
        printf("it has no argument %u in a register: it is %s", position, places->text);
        return false;
    }
    switch (role) {
    case 'f':
        if (points_at_data(shape) || is_small(shape) || shape->class == CLASS_OTHER)
            return bad(places, position, "a function"), false;
        return is_callback_fit(shape, detail);
    case 'a':
        if (points_at_function(shape) || is_small(shape) || shape->class == CLASS_OTHER)
            return bad(places, position, "something as large as an address"), false;
        return true;
    case 'm':
        if (is_no_pointer_at(shape, detail))
            return bad(places, position, "an object that has a function pointer there"), false;
        /* fall through */
    case 'o':
        if (points_at_function(shape) || is_small(shape))
            return bad(places, position, "an object's address"), false;
        return true;
    case 's':
        if (is_no_stdfunction(shape))
            return bad(places, position, "a std::function"), false;
        return true;
    default:
        return true;
    }
}

static void answer(struct names *names, char *line)
{
    struct places places = {.count = 0};
    Dwarf_Die die, origin, *from = &die;
    Dwarf_Attribute attribute;
    char *rest, *word = strtok_r(line, " ", &rest);

    if (!word || !names || !dwarf_one_function(names, strtoul(word, NULL, 16), &die))
        return;
    if (dwarf_attr(&die, DW_AT_abstract_origin, &attribute) &&
        dwarf_formref_die(&attribute, &origin))
        from = &origin;
    find_places(from, false, &places);
    while ((word = strtok_r(NULL, " ", &rest))) {
        unsigned position = 0, detail = 0;

        sscanf(word + 1, "%u.%u", &position, &detail);
        if (*word == 'r' || *word == 'R'
                ? !is_answer_fit(&places, *word == 'R')
                : position && position <= PLACES && !is_place_fit(&places, *word, position, detail))
            return;
    }
}

int verb_fits_hooks(const char *path)
{
    const struct rlimit seconds = {SECONDS, SECONDS}, bytes = {BYTES, BYTES};
    struct names *names;
    char line[256];

    setrlimit(RLIMIT_CPU, &seconds);
    setrlimit(RLIMIT_DATA, &bytes);
    names = modules_add(path) ? names_of(&modules[modules_count - 1]) : NULL;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = '\0';
        answer(names, line);
        putchar('\n');
    }
    return 0;
}

#else
int verb_fits_hooks(const char *path)
{
    (void)path;
    return 0;
}
#endif
