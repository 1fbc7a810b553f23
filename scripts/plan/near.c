/*
 * The names nearest to one that was not found: a few letters away, in any module, nearest
 * first; else names of C++ that have it as a part, because people write what their source says.
 */
#include <stdio.h>
#include <string.h>

#include "base/config_parse.h"
#include "elf/file.h"
#include "plan.h"

enum { NEAR_MAX = 3 };

bool near_is_wanted = true;

struct near {
    char name[128];
    const char *module;
    unsigned distance;
};

struct nearest {
    struct near at[NEAR_MAX];
    unsigned count;
};

/* The compiler's own: a guard, an initialiser, a wrapper of a thread-local variable. */
static bool is_compilers(const char *name)
{
    return !strncmp(name, "_ZGV", 4) || !strncmp(name, "_ZTH", 4) || !strncmp(name, "_ZTW", 4) ||
           !strncmp(name, "__emutls_", 9) || !strcmp(name, "__tls_guard");
}

static void note(struct nearest *nearest, const char *name, const char *module, unsigned distance)
{
    unsigned place;

    if (is_compilers(name))
        return;
    for (unsigned i = 0; i < nearest->count; i++) {
        if (!strcmp(nearest->at[i].name, name))
            return;
    }
    for (place = nearest->count; place && nearest->at[place - 1].distance > distance; place--)
        ;
    if (place == NEAR_MAX || strlen(name) >= sizeof nearest->at[0].name)
        return;
    if (nearest->count < NEAR_MAX)
        nearest->count++;
    memmove(&nearest->at[place + 1], &nearest->at[place],
            (nearest->count - place - 1) * sizeof nearest->at[0]);
    snprintf(nearest->at[place].name, sizeof nearest->at[place].name, "%s", name);
    nearest->at[place].module = module;
    nearest->at[place].distance = distance;
}

struct part {
    struct nearest *nearest;
    const char *text; /* as names are mangled: its length, then itself */
    const char *module;
    unsigned want;
};

static void note_parts(const struct elf_table *table, const struct part *part)
{
    struct elf_cursor cursor = {.table = table, .want = part->want};
    const char *name;

    while (elf_cursor_next(&cursor, &name)) {
        if (!strncmp(name, "_Z", 2) && strstr(name, part->text))
            note(part->nearest, name, part->module, (unsigned)strlen(name));
    }
}

static void look_into(const struct module *module, const struct part *part)
{
    struct elf_file file;

    if (modules_open_symbols(module, &file)) {
        note_parts(&file.symtab, part);
        elf_file_close(&file);
    } else {
        struct elf_table exported = elf_module_table(&module->elf);

        note_parts(&exported, part);
    }
}

bool near_names(const char *name, const char *user_module, unsigned want, char *buf, size_t n)
{
    struct nearest nearest = {.count = 0};
    char found[128], text[160];
    size_t len = 0;

    buf[0] = '\0';
    if (!near_is_wanted)
        return false;
    for (unsigned i = 0; i < modules_count; i++) {
        if ((!user_module || elf_module_match(&modules[i].elf, user_module)) &&
            elf_nearest(&modules[i].elf, name, want, found, sizeof found))
            note(&nearest, found, modules[i].elf.name, config_name_distance(found, name));
    }
    snprintf(text, sizeof text, "%zu%s", strlen(name), name);
    for (unsigned i = 0; i < modules_count && !nearest.count; i++) {
        const struct part part = {&nearest, text, modules[i].elf.name, want};

        if (!user_module || elf_module_match(&modules[i].elf, user_module))
            look_into(&modules[i], &part);
    }
    buf[0] = '\0';
    for (unsigned i = 0; i < nearest.count && len < n; i++)
        len += (size_t)snprintf(buf + len, n - len, "%s%s in %s", i ? ", " : "", nearest.at[i].name,
                                nearest.at[i].module);
    return nearest.count;
}
