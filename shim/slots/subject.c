/*
 * What an item carries, as far as its text says: two that carry the same are a mistake.
 *
 * Promise: what is called the same is. Names that only the loaded modules tell apart (a variable, and the place that it
 * lies at; the file that a module is) are not.
 * Rules: texts of items that grammar.c has passed; they are only read.
 */
#include <string.h>

#include "slots/grammar.h"
#include "slots/kind.h"
#include "slots/slots.h"

struct part {
    const char *at; /* NULL: it is not given */
    size_t len;
};

/* NAME[@MODULE][#FILE], of by=FUNCTION the number instead of the file; MODULE+0xOFFSET[:SIZE]. */
struct name {
    struct part name, module, file;
    bool is_place;
    uintptr_t offset, size;
};

struct subject {
    const struct slot_kind *kind;
    struct part text; /* all of WHAT */
    bool is_by;
    struct name what;   /* of functions: the one that reads */
    struct name writer; /* of functions: the one that writes */
};

static struct part part_until(const char **at, const char *end)
{
    struct part part = {*at, 0};

    while (*at < end && **at != '@' && **at != '#')
        ++*at;
    part.len = (size_t)(*at - part.at);
    return part;
}

static uintptr_t read_size(const char *digit, const char *end)
{
    uintptr_t size = 0;

    for (; digit < end && form_is_digit(*digit); digit++)
        size = size * 10 + (uintptr_t)(*digit - '0');
    return size;
}

static struct name read_name(const char *at, size_t len)
{
    const char *end = at + len, *offset = form_find_offset(at, len), *behind;
    struct name name = {.size = 1};

    if (offset && form_read_offset(offset, &name.offset, &behind)) {
        name.is_place = true;
        name.module = (struct part){at, (size_t)(offset - 1 - at)};
        name.size = *behind == ':' ? read_size(behind + 1, end) : name.size;
        return name;
    }
    name.name = part_until(&at, end);
    while (at < end) {
        bool is_module = *at++ == '@';
        struct part part = part_until(&at, end);

        *(is_module ? &name.module : &name.file) = part;
    }
    return name;
}

/* The value of the first option that is one of BITS. */
static struct name read_function(const char *options, unsigned bits)
{
    for (const char *option = options; *option; option += strcspn(option, ",")) {
        const char *value = strchr(++option, '=');

        if (value && grammar_option(option) & bits)
            return read_name(value + 1, strcspn(value + 1, ","));
    }
    return (struct name){.size = 0};
}

static bool read_subject(const char *text, struct subject *subject)
{
    size_t kind_len = strcspn(text, ":,");
    const char *at = text + kind_len;

    memset(subject, 0, sizeof *subject);
    subject->kind = slot_kind_find(text, kind_len);
    if (!subject->kind)
        return false;
    if (subject->kind->form->shape == SHAPE_OPTIONS) {
        subject->what = read_function(at, O_GET | O_FILL | O_AT);
        subject->writer = read_function(at, O_SET | O_PUT | O_AT);
    } else if (subject->kind->form->shape == SHAPE_WHAT) {
        at += *at == ':';
        subject->text = (struct part){at, strcspn(at, ",")};
        subject->is_by = !strncmp(at, "by=", 3);
        at += subject->is_by ? 3 : 0;
        subject->what = read_name(at, strcspn(at, ","));
        if (subject->is_by && !subject->what.file.at)
            subject->what.file = (struct part){"1", 1};
        if (subject->kind == &slot_kind_swap)
            subject->writer = subject->what;
    }
    return true;
}

static bool is_same_part(struct part one, struct part other)
{
    return one.len == other.len && !memcmp(one.at, other.at, one.len);
}

static struct part without_zeros(struct part part)
{
    for (; part.len > 1 && *part.at == '0'; part.len--)
        part.at++;
    return part;
}

/* n=1 and #1 are n=01 and #01. */
static bool is_same_number(struct part one, struct part other)
{
    return is_same_part(without_zeros(one), without_zeros(other));
}

static bool is_order(struct part part)
{
    return part.len > 2 && !memcmp(part.at, "n=", 2);
}

static bool is_either(struct part one, struct part other)
{
    return !one.at || !other.at || is_same_part(one, other);
}

/* As elf_module_match: the beginning of a file's name, up to a '.' or '-'. */
static bool is_same_module(struct part one, struct part other)
{
    struct part longer = one.len > other.len ? one : other;
    size_t len = one.len < other.len ? one.len : other.len;

    if (!one.at || !other.at || memchr(longer.at, '/', longer.len))
        return is_either(one, other);
    return !memcmp(one.at, other.at, len) &&
           (longer.len == len || longer.at[len] == '.' || longer.at[len] == '-');
}

static bool is_same_name(const struct name *one, const struct name *other)
{
    if (one->is_place != other->is_place || !is_same_module(one->module, other->module))
        return false;
    if (one->is_place)
        return one->offset < other->offset + other->size && other->offset < one->offset + one->size;
    if (!one->name.at || !other->name.at)
        return false;
    if (is_order(one->name) && is_order(other->name))
        return is_same_number((struct part){one->name.at + 2, one->name.len - 2},
                              (struct part){other->name.at + 2, other->name.len - 2});
    return is_same_part(one->name, other->name);
}

/* What a kind without a name carries, as functions of the C library. */
static bool is_alias(const struct subject *one, const struct subject *functions)
{
    static const struct {
        char kind[8], function[16];
    } aliases[] = {{"locale", "uselocale"},
                   {"fenv", "fesetround"},
                   {"fenv", "fesetenv"},
                   {"fenv", "fesetmode"},
                   {"fenv", "feenableexcept"}};

    if (one->kind->form->shape != SHAPE_ALONE)
        return false;
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        struct part function = {aliases[i].function, strlen(aliases[i].function)};

        if (!strcmp(one->kind->form->name, aliases[i].kind) && functions->writer.name.at &&
            is_same_part(functions->writer.name, function))
            return true;
    }
    return false;
}

static bool is_of_functions(const struct subject *subject)
{
    return subject->writer.name.at != NULL;
}

enum grammar_same grammar_same_subject(const char *one, const char *other)
{
    static const char apart[] = "kta"; /* kinds that only their own can be the same as */
    struct subject first, second;

    if (*one != *other && (strchr(apart, *one) || strchr(apart, *other))) /* mostly */
        return SAME_NOT;
    if (!read_subject(one, &first) || !read_subject(other, &second))
        return !strcmp(one, other) ? SAME_SUBJECT : SAME_NOT;
    if (is_of_functions(&first) && is_of_functions(&second)) {
        if (is_same_name(&first.what, &second.what))
            return SAME_SUBJECT;
        return is_same_name(&first.writer, &second.writer) ? SAME_WRITER : SAME_NOT;
    }
    if (first.kind != second.kind)
        return is_alias(&first, &second) || is_alias(&second, &first) ? SAME_WRITER : SAME_NOT;
    if (first.kind->form->shape == SHAPE_ALONE)
        return SAME_SUBJECT;
    if (first.kind->form->shape != SHAPE_WHAT) /* functions, of which one names none that sets */
        return SAME_NOT;
    if (*first.text.at == '/' || *second.text.at == '/') /* an adapter's file */
        return is_same_part(first.text, second.text) ? SAME_SUBJECT : SAME_NOT;
    if (first.is_by != second.is_by || !is_same_name(&first.what, &second.what))
        return SAME_NOT;
    return (first.is_by ? is_same_number(first.what.file, second.what.file)
                        : is_either(first.what.file, second.what.file))
               ? SAME_SUBJECT
               : SAME_NOT;
}
