/*
 * baton discover --static: what can be known of a program without running it. Nothing of it is executed but
 * the system's loader, which lists its libraries (plan/modules.c).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "discover.h"
#include "elf/file.h"

enum { SHOWN_MAX = 40 };

static bool is_system(const char *name)
{
    static const char *const names[] = {"libc.",  "ld-linux", "libpthread.", "libdl.",
                                        "librt.", "libm.",    "libgcc_s.",   "libstdc++."};

    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        if (!strncmp(name, names[i], strlen(names[i])))
            return true;
    }
    return false;
}

/* A name that its author gave to what a request brings along. */
static bool sounds_like_context(const char *name)
{
    static const char *const words[] = {"context", "ctx",     "request",    "tenant", "trace",
                                        "span",    "session", "current",    "mdc",    "ndc",
                                        "user",    "scope",   "correlation"};

    for (unsigned i = 0; i < sizeof words / sizeof *words; i++) {
        if (strcasestr(name, words[i]))
            return true;
    }
    return false;
}

static bool is_suggested(const struct names *names, const struct variable *variable)
{
    if (!variable->name || is_system(names->module->elf.name) ||
        !sounds_like_context(variable->name))
        return false;
    return !!strncmp(variable->name, "_ZGV", 4) && !!strncmp(variable->name, "_ZTH", 4);
}

struct submits {
    struct names *names;
    bool is_json;
    unsigned count;
};

static void print_submit(const struct function *function, const struct signature *signature,
                         void *arg)
{
    struct submits *submits = arg;
    const char *shown = names_shown(submits->names, function);
    char item[600];

    if (!function->name || family_of_function(function->name) ||
        !dwarf_item(signature, shown, item, sizeof item))
        return;
    if (submits->is_json) {
        fputs(submits->count ? ",{\"item\":" : "{\"item\":", stdout);
        print_json(item);
        fputs(",\"by\":\"debug information\"}", stdout);
    } else if (submits->count < SHOWN_MAX) {
        printf("    %s\n", item);
    }
    submits->count++;
}

/*
 * Without debug information: a function that keeps two of its arguments in one object at offsets from which
 * another function of the module calls the one with the other.
 */
static void print_shapes(struct submits *submits)
{
    struct names *names = submits->names;
    const struct code *code = code_of(names);
    const struct function *said = NULL;

    for (unsigned i = 0; i < code->stores_count; i++) {
        const struct stored *callee = &code->stores[i];
        const struct function *function = &names->functions[callee->function];

        for (unsigned j = 0; j < code->stores_count && said != function; j++) {
            const struct stored *data = &code->stores[j];

            if (data->function != callee->function || data->argument == callee->argument)
                continue;
            for (unsigned k = 0; k < code->calls_count; k++) {
                const struct called *called = &code->calls[k];

                if (called->callee != callee->offset || called->data != data->offset ||
                    called->function == callee->function)
                    continue;
                said = function;
                if (submits->is_json) {
                    fputs(submits->count ? ",{\"item\":" : "{\"item\":", stdout);
                    print_json(joined("%s(kind=call,fn=%u,arg=%u)", names_shown(names, function),
                                      callee->argument, data->argument));
                    fputs(",\"by\":\"code\"}", stdout);
                } else if (submits->count < SHOWN_MAX) {
                    printf("    %s(kind=call,fn=%u,arg=%u)\n", names_shown(names, function),
                           callee->argument, data->argument);
                }
                submits->count++;
                break;
            }
        }
    }
}

static unsigned long imports_of(const struct module *module, const char **families, unsigned *count)
{
    const struct elf_module *elf = &module->elf;
    struct elf_table table = elf_module_table(elf);

    for (size_t i = 0; i < table.count; i++) {
        const elf_file_sym *symbol = &table.sym[i];
        const char *family;
        bool is_there = false;

        if (symbol->st_shndx != SHN_UNDEF || symbol->st_name >= table.str_len)
            continue;
        family = family_of_function(table.str + symbol->st_name);
        for (unsigned j = 0; family && j < *count; j++)
            is_there |= families[j] == family;
        if (family && !is_there && *count < 64)
            families[(*count)++] = family;
    }
    return *count;
}

/* Debian names its package of debug information after the one that a file is in, which its path tells dpkg. */
static void print_missing(const struct names *names)
{
    if (!names->is_stripped)
        return;
    printf("    no symbols: install the debug package (NAME-dbgsym) of what it came with%s%s\n",
           names->build_id[0] ? ", build-id " : "", names->build_id);
}

static void print_variable(const struct names *names, const struct variable *variable)
{
    printf("    %6zu bytes  tls:%s\n", variable->size, names_item(names, variable));
}

static void text_module(struct names *names)
{
    const struct elf_module *elf = &names->module->elf;
    unsigned shown = 0;

    if (!elf->tls_size && !elf->is_main)
        return;
    printf("  %s%s: %zu bytes of thread-local storage\n", elf->name, elf->is_main ? " (main)" : "",
           elf->tls_size);
    for (unsigned i = 0; i < names->variables_count; i++) {
        if (shown++ == SHOWN_MAX) {
            printf("    ... and %u more\n", names->variables_count - SHOWN_MAX);
            break;
        }
        print_variable(names, &names->variables[i]);
    }
    if (elf->tls_size || elf->is_main)
        print_missing(names);
}

static void json_module(struct names *names, bool is_first)
{
    fputs(is_first ? "{\"module\":" : ",{\"module\":", stdout);
    print_json(names->module->elf.name);
    fputs(",\"path\":", stdout);
    print_json(names->module->path);
    printf(",\"build_id\":\"%s\",\"symbols\":%s,\"tls_bytes\":%zu,\"variables\":[", names->build_id,
           names->is_stripped ? "false" : "true", names->module->elf.tls_size);
    for (unsigned i = 0; i < names->variables_count; i++) {
        fputs(i ? ",{\"name\":" : "{\"name\":", stdout);
        print_json(names->variables[i].name ? names->variables[i].name : "");
        printf(",\"offset\":%zu,\"size\":%zu}", names->variables[i].offset,
               names->variables[i].size);
    }
    fputs("]}", stdout);
}

static void find_submits(struct submits *submits)
{
    if (dwarf_is_there(submits->names))
        dwarf_each(submits->names, print_submit, submits);
    else
        print_shapes(submits);
}

static void print_as_json(struct names **all)
{
    const char *families[64];
    unsigned count = 0, items = 0;
    struct submits submits = {all[0], true, 0};

    fputs("{\"program\":", stdout);
    print_json(modules[0].path);
    fputs(",\"modules\":[", stdout);
    for (unsigned i = 0; i < modules_count; i++)
        json_module(all[i], i == 0);
    fputs("],\"known\":[", stdout);
    for (unsigned i = 0; i < modules_count; i++) {
        const char *item = known_context(modules[i].elf.name);

        if (item) {
            fputs(items++ ? "," : "", stdout);
            print_json(item);
        }
        imports_of(&modules[i], families, &count);
    }
    fputs("],\"families\":[", stdout);
    for (unsigned i = 0; i < count; i++) {
        fputs(i ? "," : "", stdout);
        print_json(families[i]);
    }
    fputs("],\"submits\":[", stdout);
    find_submits(&submits);
    fputs("]}\n", stdout);
}

static void print_as_text(struct names **all)
{
    const char *families[64];
    unsigned count = 0, items = 0;
    struct submits submits = {all[0], false, 0};

    printf("%s: %u modules\n", modules[0].elf.name, modules_count);
    printf("\nthread-local variables\n");
    for (unsigned i = 0; i < modules_count; i++)
        text_module(all[i]);
    printf("\nlibraries whose context is known\n");
    for (unsigned i = 0; i < modules_count; i++) {
        const char *item = known_context(modules[i].elf.name);

        if (item)
            printf("    %s: %s\n", modules[i].elf.name, item);
        items += item != NULL;
        imports_of(&modules[i], families, &count);
    }
    if (!items)
        printf("    none\n");
    printf("\nhandoffs that are hooked by themselves (families)\n   ");
    for (unsigned i = 0; i < count; i++)
        printf(" %s", families[i]);
    printf("%s\n\nfunctions of %s that look like handoffs of its own (%s)\n", count ? "" : " none",
           modules[0].elf.name,
           dwarf_is_there(all[0]) ? "a function and a pointer, by debug information"
           : code_is_known()      ? "two arguments kept and called, by its code"
                                  : "not looked for: neither debug information nor Zydis");
    find_submits(&submits);
    if (submits.count > SHOWN_MAX)
        printf("    ... and %u more\n", submits.count - SHOWN_MAX);
    if (!submits.count)
        printf("    none\n");
    items = 0;
    printf("\nnamed like a context (a guess: baton discover -- %s looks at what it does)\n",
           modules[0].elf.name);
    for (unsigned i = 0; i < modules_count; i++) {
        for (unsigned j = 0; j < all[i]->variables_count; j++) {
            if (is_suggested(all[i], &all[i]->variables[j]) && items++ < SHOWN_MAX)
                printf("    tls:%s\n", names_item(all[i], &all[i]->variables[j]));
        }
    }
    if (!items)
        printf("    none\n");
}

int verb_static(const char *program, bool is_json)
{
    struct names **all;

    modules_watch_cut();
    if (!modules_load(program, false))
        return 1;
    all = allocated(calloc(modules_count, sizeof(struct names *)));
    for (unsigned i = 0; i < modules_count; i++)
        all[i] = names_of(&modules[i]);
    for (unsigned i = 0; i < modules_count; i++) {
        if (!is_system(modules[i].elf.name) && (modules[i].elf.tls_size || i == 0))
            code_variables(all[i]);
    }
    if (is_json)
        print_as_json(all);
    else
        print_as_text(all);
    return 0;
}
