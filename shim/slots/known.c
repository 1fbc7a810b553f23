/*
 * When a known context is in the process: by the names of its modules and by what they import and export.
 *
 * Rules: nothing is loaded or called; a file is opened for has: only, and only of the program's own modules.
 * What has been found stays found: a library that is unloaded again takes its slot's names with it.
 */
#include "slots/known.h"

#include <string.h>

#include "base/log.h"

bool known_is_on;
struct known *known_all;
unsigned known_count;
int (*known_each_module)(int (*visit)(const struct elf_module *module, void *arg),
                         void *arg) = elf_each_module;

enum { WORD_SIZE = 256 };

/* One word of a condition, and what was found for it. */
struct question {
    char word[WORD_SIZE];
    struct known *known;
};

static const char *tail(const char *word, const char *prefix)
{
    size_t len = strlen(prefix);

    return strncmp(word, prefix, len) ? NULL : word + len;
}

bool known_is_of_the_system(const struct elf_module *module)
{
    const char *at = module->path, *end = strrchr(at, '/'), *dash;

    if (module->is_main)
        return false;
    if (!end)
        return true; /* the kernel's own */
    at = tail(at, "/usr") ? at + 4 : at;
    if (strncmp(at, "/lib", 4) != 0)
        return false;
    at += strcspn(at + 1, "/") + 1;
    if (at == end)
        return true;
    dash = strstr(at, "-linux-gnu");
    return dash && dash < end && at + 1 + strcspn(at + 1, "/") == end;
}

static bool is_ours(const struct elf_module *module)
{
    return elf_module_is_ours(module) ||
           (module->soname && !strcmp(module->soname, GENERATED_OBJECT));
}

static int found(struct question *question, const struct elf_module *module, const char *verb,
                 const char *symbol)
{
    fmt_buf(question->known->because, sizeof question->known->because, "%.60s %s%.50s",
            module->name, verb, symbol);
    return 1;
}

static int visit(const struct elf_module *module, void *arg)
{
    struct question *question = arg;
    const char *word = question->word, *symbol;
    struct elf_symbol at;

    if (is_ours(module))
        return 0;
    if ((symbol = tail(word, "uses:")))
        return !known_is_of_the_system(module) && elf_dynsym_imports(module, symbol)
                   ? found(question, module, "uses ", symbol)
                   : 0;
    if ((symbol = tail(word, "exports:")))
        return elf_dynsym_find(module, symbol, NULL, ELF_ANY, &at)
                   ? found(question, module, "has ", symbol)
                   : 0;
    if ((symbol = tail(word, "has:")))
        return !known_is_of_the_system(module) &&
                       elf_find_symbol(module, symbol, NULL, ELF_ANY, NULL)
                   ? found(question, module, "has ", symbol)
                   : 0;
    return !module->is_main && elf_module_match(module, word)
               ? found(question, module, "is in the process", "")
               : 0;
}

/* Takes the first word of a condition. How long it is; WORD_SIZE: too long. */
static size_t take_word(struct question *question, const char *condition)
{
    size_t len = strcspn(condition, " ");

    if (len >= WORD_SIZE)
        return WORD_SIZE;
    memcpy(question->word, condition, len);
    question->word[len] = '\0';
    return len;
}

static bool holds(struct known *known, const char *condition)
{
    struct question question = {.known = known};

    while (*condition) {
        size_t len = take_word(&question, condition);

        if (len == WORD_SIZE || (len && known_each_module(visit, &question) != 1))
            return false;
        condition += len + (condition[len] == ' ');
    }
    return true;
}

/* The first words of all conditions, in one walk over the modules: most of what is known is not there. What is looked for
 * in files is not looked for here. */
static int visit_first(const struct elf_module *module, void *unused)
{
    struct question question;

    for (unsigned i = 0; i < known_count; i++) {
        question.known = &known_all[i];
        for (unsigned j = 0; j < question.known->condition_count && !question.known->is_here; j++) {
            if (!question.known->may_hold[j])
                question.known->may_hold[j] =
                    take_word(&question, question.known->condition[j]) < WORD_SIZE &&
                    (tail(question.word, "has:") || visit(module, &question));
        }
    }
    return 0;
}

void known_look(void)
{
    static struct elf_seen seen;

    if (!known_count || !elf_is_changed(&seen))
        return;
    for (unsigned i = 0; i < known_count; i++)
        memset(known_all[i].may_hold, 0, sizeof known_all[i].may_hold);
    known_each_module(visit_first, NULL);
    for (unsigned i = 0; i < known_count; i++) {
        struct known *known = &known_all[i];

        for (unsigned j = 0; j < known->condition_count && !known->is_here; j++)
            known->is_here = known->may_hold[j] && holds(known, known->condition[j]);
    }
}

bool known_condition_is_right(const char *text, const char **expected)
{
    static const char *const prefixes[] = {"uses:", "exports:", "has:"};

    *expected = "MODULE, uses:SYMBOL, exports:SYMBOL or has:SYMBOL, with spaces between them";
    while (*text) {
        size_t len = strcspn(text, " ");
        const char *colon = memchr(text, ':', len);
        bool is_known = !colon;

        for (unsigned i = 0; colon && i < 3; i++)
            is_known |= tail(text, prefixes[i]) && (size_t)(colon + 1 - text) < len;
        if (!is_known || len >= WORD_SIZE)
            return false;
        text += len + (text[len] == ' ');
    }
    return true;
}
