/*
 * `auto`, of a program that does not run: the same known.conf as in the process, asked of the modules that the
 * loader would load. What only has a name that contexts have is suggested, and never carried by itself.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "elf/file.h"
#include "plan.h"
#include "slots/kind.h"
#include "slots/slots.h"
#include "told.h"
#include "userhooks/known.h"

bool auto_read(struct config *config, const char *program, bool is_quiet, bool *is_loaded)
{
    for (size_t i = 0; i < config->carry.count && !*is_loaded; i++) {
        if (strcmp(config->carry.items[i].text, "auto") != 0)
            continue;
        if (!modules_load(program, is_quiet))
            return false;
        *is_loaded = true;
    }
    known_each_module = modules_each;
    known_read(config, environ);
    return true;
}

bool auto_is_empty(const struct config *config)
{
    return known_is_on && !config->carry.count && !config->errors;
}

/* ---- what may be meant besides ---- */

enum { SUGGESTED_MAX = 8 };

static bool is_like_a_context(const char *name)
{
    static const char *const parts[] = {"context", "ctx",    "request",     "trace",    "span",
                                        "mdc",     "tenant", "correlation", "session_", NULL};
    char lower[256];
    size_t len = 0;

    for (; name[len] && len < sizeof lower - 1; len++)
        lower[len] = (char)tolower((unsigned char)name[len]);
    lower[len] = '\0';
    for (unsigned i = 0; parts[i]; i++) {
        if (strstr(lower, parts[i]))
            return true;
    }
    return false;
}

/* One that could be carried as it is. */
static bool is_fit(const struct module *module, const char *name)
{
    struct slot slot = {.kind = &slot_kind_tls, .tls = {.name = name}};
    struct elf_symbol symbol;

    return elf_find_symbol(&module->elf, name, NULL, ELF_TLS, &symbol) && symbol.size &&
           symbol.size <= 256 && !slot.kind->reason(&slot, &module->elf, &symbol);
}

static unsigned suggest_from(const struct module *module, const struct elf_table *table,
                             unsigned count)
{
    struct elf_cursor cursor = {.table = table, .want = ELF_TLS};
    const char *name;

    while (count < SUGGESTED_MAX && elf_cursor_next(&cursor, &name)) {
        if (!is_like_a_context(name) || !is_fit(module, name))
            continue;
        if (!count)
            puts("named like contexts, and not chosen, because only you know:");
        told(stdout, "    tls:%s in %s\n", name, module->elf.name);
        count++;
    }
    return count;
}

static void suggest(void)
{
    unsigned count = 0;

    for (unsigned i = 0; i < modules_count; i++) {
        const struct module *module = &modules[i];
        struct elf_file file;

        if (known_is_of_the_system(&module->elf) || !module->elf.tls_size)
            continue;
        if (modules_open_symbols(module, &file)) {
            count = suggest_from(module, &file.symtab, count);
            elf_file_close(&file);
        }
    }
}

bool auto_check(void)
{
    bool is_any = false;

    for (unsigned i = 0; i < known_count; i++) {
        if (!known_all[i].is_chosen)
            continue;
        told(stdout, "auto chooses %s: %s\n    %s\n", known_items(&known_all[i]),
             known_all[i].about, known_all[i].because);
        is_any = true;
    }
    if (!is_any)
        told(stdout,
             "auto chooses nothing: no library that baton knows is in the program at its start; "
             "what else "
             "it has: baton discover -- %s\n",
             modules[0].path);
    suggest();
    return is_any || slots_count;
}
