/*
 * The names of BATON_HOOKS: FUNCTION[@MODULE][#FILE.c], as the linker or as the source has it.
 *
 * A name is only read; whether some module has it is not asked. What no name can be is a mistake with its place.
 */
#include "userhooks/spec_name.h"

#include <string.h>

#include "base/text.h"

/* The '#' of a file; those of a closure, {lambda()#1}, are part of the name. */
static char *find_file(char *text)
{
    char *hash = strrchr(text, '#');

    return hash && !strpbrk(hash, "})>") ? hash : NULL;
}

/* What is called from within our own work cannot be hooked, and hands nothing over. */
static bool is_allocator(const char *name)
{
    static const char names[][16] = {"malloc", "calloc", "realloc", "free",
                                     "mmap",   "munmap", "memcpy"};

    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (!strcmp(name, names[i]))
            return true;
    return false;
}

bool spec_read_name(char *text, struct named_spec *out, struct spec_error *error)
{
    char *at = strrchr(text, '@'), *hash = find_file(text);
    size_t len;

    if (at) {
        *at = '\0';
        out->module = at + 1;
    }
    if (hash) {
        *hash = '\0';
        out->file = hash + 1;
    }
    if (at && !*out->module)
        return spec_fail(error, out->module, "the name of a module");
    if (hash && !*out->file)
        return spec_fail(error, out->file, "the name of a source file");
    if (at && !strstr(text, "::") && strchr(text, '@'))
        return spec_fail(error, strchr(text, '@'), "one @ only: FUNCTION[@MODULE][#FILE.c]");
    out->function = text;
    if (!*text)
        return spec_fail(error, text, "the name of a function");
    out->is_demangled = strstr(text, "::") || strpbrk(text, "(<");
    out->is_glob = strchr(text, '*') && (!out->is_demangled || !strpbrk(text, "("));
    if (is_allocator(text))
        return spec_fail(error, text, "a function that hands work over: this one does not");
    if (strlen(text) > 4095)
        return spec_fail(error, text, "a name of at most 4095 bytes");
    len = strspn(text, "*");
    if (out->is_glob && !text[len])
        return spec_fail(error, text, "more than * of the name");
    for (size_t shown; *text; text += shown) {
        shown = text_shown(text, strlen(text));
        if (!shown || (shown > 1 && text_is_blank(text, shown)) ||
            (!out->is_demangled && strchr(" (),=;:|\"'", *text)))
            return spec_fail(error, text,
                             "the name of a function as the linker knows it (nm), then (kind=...)");
    }
    return true;
}
