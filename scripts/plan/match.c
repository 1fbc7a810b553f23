/*
 * The functions that an item's name stands for, where it is a pattern or written as C++ and Rust write it.
 *
 * Names of the source are had from libstdc++'s __cxa_demangle, opened only when an item needs it: nothing
 * of C++ is needed to build or to run the rest. A name without '*' must mean one function; its overloads
 * are listed otherwise. The compiler's clones and cold parts are no functions of their own.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "elf/file.h"
#include "plan.h"

typedef char *demangler(const char *mangled, char *buffer, size_t *length, int *status);

static demangler *demangle(void)
{
    static demangler *found;
    static bool has_looked;

    if (!has_looked) {
        void *library = dlopen("libstdc++.so.6", RTLD_LAZY | RTLD_LOCAL);

        has_looked = true;
        if (!library)
            library = dlopen("libc++abi.so.1", RTLD_LAZY | RTLD_LOCAL);
        if (library)
            found = (demangler *)(uintptr_t)dlsym(library, "__cxa_demangle");
    }
    return found;
}

/* ---- names ---- */

/* Without spaces: "function<void ()>" and "function<void()>" are one. */
static void squeeze(char *text)
{
    char *to = text;

    for (; *text; text++) {
        if (*text != ' ')
            *to++ = *text;
    }
    *to = '\0';
}

/* Rust's older names are C++'s with escapes in them, and a hash at the end. */
static void unescape_rust(char *name)
{
    static const struct {
        char from[8], to[4];
    } escapes[] = {{"$LT$", "<"},  {"$GT$", ">"},  {"$LP$", "("},  {"$RP$", ")"},  {"$RF$", "&"},
                   {"$BP$", "*"},  {"$C$", ","},   {"$u20$", " "}, {"$u27$", "'"}, {"$u5b$", "["},
                   {"$u5d$", "]"}, {"$u7b$", "{"}, {"$u7d$", "}"}, {"$u7e$", "~"}, {"..", "::"}};
    size_t len = strlen(name);
    char *to = name;

    if (len < 19 || strncmp(name + len - 19, "::h", 3) != 0 ||
        strspn(name + len - 16, "0123456789abcdef") != 16)
        return;
    name[len - 19] = '\0';
    for (char *from = name; *from;) {
        unsigned i = 0;

        while (i < sizeof escapes / sizeof *escapes &&
               strncmp(from, escapes[i].from, strlen(escapes[i].from)) != 0)
            i++;
        if (i == sizeof escapes / sizeof *escapes) {
            if (!(from[0] == '_' && from[1] == '$')) /* before an escape that begins a part */
                *to++ = *from;
            from++;
            continue;
        }
        memcpy(to, escapes[i].to, strlen(escapes[i].to));
        to += strlen(escapes[i].to);
        from += strlen(escapes[i].from);
    }
    *to = '\0';
}

/* Cuts the parameters off, and what stands behind them. False: there are none. */
static bool cut_parameters(char *name)
{
    char *end = strrchr(name, ')');
    int depth = 0;

    for (; end && end >= name; end--) {
        depth += (*end == ')') - (*end == '(');
        if (!depth) {
            *end = '\0';
            return true;
        }
    }
    return false;
}

/* The part behind the last space that is in no brackets: without the result's type. */
static char *without_result(char *name)
{
    char *start = name;
    int depth = 0;

    for (char *c = name; *c; c++) {
        depth += (*c == '<' || *c == '(' || *c == '{') - (*c == '>' || *c == ')' || *c == '}');
        if (*c == ' ' && !depth)
            start = c + 1;
    }
    return start;
}

static bool cut_template(char *name)
{
    size_t len = strlen(name);
    int depth = 0;

    if (!len || name[len - 1] != '>')
        return false;
    while (len--) {
        depth += (name[len] == '>') - (name[len] == '<');
        if (!depth) {
            name[len] = '\0';
            return len > 0;
        }
    }
    return false;
}

struct wanted {
    char text[1024]; /* without spaces */
    char part[128];  /* that every mangled name of it has: the last word */
    bool is_glob;
};

static bool is_same(const struct wanted *wanted, const char *name)
{
    char text[4096];

    snprintf(text, sizeof text, "%s", name);
    squeeze(text);
    return wanted->is_glob ? text_glob(wanted->text, text) : !strcmp(wanted->text, text);
}

/* As a user may write it: whole, without parameters, without the result, without template arguments. */
static bool is_meant(const struct wanted *wanted, const char *mangled)
{
    char *name, *short_name;
    bool is_it;
    int status;

    if (!strstr(mangled, wanted->part) || !demangle())
        return false;
    name = demangle()(mangled, NULL, NULL, &status);
    if (!name)
        return false;
    unescape_rust(name);
    is_it = is_same(wanted, name);
    if (!is_it && cut_parameters(name)) {
        is_it = is_same(wanted, name);
        short_name = without_result(name);
        is_it |= is_same(wanted, short_name);
        while (!is_it && cut_template(short_name))
            is_it = is_same(wanted, short_name);
    }
    free(name);
    return is_it;
}

static void want(struct wanted *wanted, const struct named_spec *spec)
{
    const char *end, *start;
    char *text = wanted->text;

    snprintf(wanted->text, sizeof wanted->text, "%s", spec->function);
    squeeze(wanted->text);
    wanted->is_glob = spec->is_glob;
    end = text + strcspn(text, "(<");
    start = end;
    while (start > text &&
           (start[-1] == '_' || (start[-1] >= '0' && start[-1] <= '9') ||
            (start[-1] >= 'a' && start[-1] <= 'z') || (start[-1] >= 'A' && start[-1] <= 'Z')))
        start--;
    snprintf(wanted->part, sizeof wanted->part, "%.*s", (int)(end - start), start);
    /* Constructors and operators are mangled otherwise. */
    if (start == text || start[-1] == '~' || !strncmp(start, "operator", 8) ||
        (start - text > 2 && (size_t)(start - 2 - text) >= strlen(wanted->part) &&
         !strncmp(start - 2 - strlen(wanted->part), wanted->part, strlen(wanted->part))))
        wanted->part[0] = '\0';
}

/* ---- looking ---- */

struct matching {
    const struct named_spec *spec;
    struct wanted wanted;
    struct candidate *out;
    unsigned max, count, codes; /* codes: constructors have two names for one */
    const struct module *module;
};

static bool is_part_of_another(const char *name)
{
    return strstr(name, ".cold") || strstr(name, ".part.") || strstr(name, ".isra.") ||
           strstr(name, ".constprop.");
}

static void note(struct matching *matching, const char *name, uintptr_t address)
{
    bool is_known = false;

    for (unsigned i = 0; i < matching->count && i < matching->max; i++) {
        if (matching->out[i].module != matching->module)
            continue;
        if (!strcmp(matching->out[i].name, name))
            return;
        is_known |= matching->out[i].address == address;
    }
    matching->codes += !is_known;
    if (matching->count < matching->max)
        matching->out[matching->count] = (struct candidate){matching->module, name, address};
    matching->count++;
}

static void look_in_table(struct matching *matching, const struct elf_table *table)
{
    struct elf_cursor cursor = {.table = table, .want = ELF_FUNC};
    const elf_file_sym *symbol;
    const char *name;

    while ((symbol = elf_cursor_next(&cursor, &name))) {
        bool is_it = matching->spec->is_demangled ? is_meant(&matching->wanted, name)
                                                  : text_glob(matching->spec->function, name);

        if (is_it && !is_part_of_another(name)) {
            char *kept = strdup(name);

            if (kept)
                note(matching, kept, symbol->st_value);
        }
    }
}

static void look_in_module(struct matching *matching)
{
    const struct elf_module *module = &matching->module->elf;
    struct elf_file file;

    if (modules_open_symbols(matching->module, &file)) {
        look_in_table(matching, &file.symtab);
        elf_file_close(&file);
    } else {
        struct elf_table exported = elf_module_table(module);

        look_in_table(matching, &exported);
    }
}

unsigned match_functions(const struct named_spec *spec, struct candidate *out, unsigned max,
                         char *reason, size_t n)
{
    static struct matching matching;
    size_t len = 0;

    memset(&matching, 0, sizeof matching);
    matching.spec = spec;
    matching.out = out;
    matching.max = max;
    reason[0] = '\0';
    if (spec->is_demangled && !demangle()) {
        snprintf(reason, n, "libstdc++.so.6 is not here, which names of C++ are read with");
        return 0;
    }
    want(&matching.wanted, spec);
    for (unsigned i = 0; i < modules_count; i++) {
        if (spec->module && !elf_module_match(&modules[i].elf, spec->module))
            continue;
        matching.module = &modules[i];
        look_in_module(&matching);
    }
    if (matching.count > max) {
        snprintf(reason, n, "it stands for %u functions; there is room for %u", matching.count,
                 max);
        return 0;
    }
    if (matching.codes > 1 && !spec->is_glob) {
        len = (size_t)snprintf(reason, n, "it may be %s", out[0].name);
        for (unsigned i = 1; i < matching.count && i < 4 && len < n; i++)
            len += (size_t)snprintf(reason + len, n - len, "%s%s",
                                    i + 1 == matching.count ? " or " : ", ", out[i].name);
        if (matching.count > 4 && len < n)
            snprintf(reason + len, n - len, " or %u more", matching.count - 4);
        return 0;
    }
    return matching.count;
}
