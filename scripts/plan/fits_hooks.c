/*
 * Whether functions have the arguments that the items of named hooks say: baton-discover, which lies beside us, knows debug
 * information, and is asked once for all functions of a file that has some. For check and the run alike. Where it is not
 * there, everything fits; the option unsafe says so, too.
 */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "elf/file.h"
#include "plan.h"

enum { ANSWERS = 1 << 16 };

/* Beside the file itself: baton-discover knows where such lie. */
static bool has_debug_file(const struct module *module)
{
    struct elf_file file, other;
    bool is_there;

    if (!elf_file_open_module(&module->elf, &file))
        memset(&file, 0, sizeof file);
    is_there = elf_file_open_debug(&module->elf, &file, NULL, &other);
    if (is_there)
        elf_file_close(&other);
    elf_file_close(&file);
    return is_there;
}

/* No start waits for who would find nothing. */
static bool has_debug_information(const struct module *module)
{
    FILE *file = fopen(module->path, "re");
    elf_ehdr head;
    elf_shdr section, strings;
    char name[16];
    bool is_there = false;

    if (!file)
        return false;
    if (fread(&head, sizeof head, 1, file) != 1 || head.e_shentsize != sizeof section ||
        head.e_shstrndx >= head.e_shnum ||
        fseek(file, (long)(head.e_shoff + head.e_shstrndx * sizeof section), SEEK_SET) != 0 ||
        fread(&strings, sizeof strings, 1, file) != 1)
        head.e_shnum = 0;
    for (unsigned i = 0; i < head.e_shnum && !is_there; i++) {
        if (fseek(file, (long)(head.e_shoff + i * sizeof section), SEEK_SET) != 0 ||
            fread(&section, sizeof section, 1, file) != 1 ||
            fseek(file, (long)(strings.sh_offset + section.sh_name), SEEK_SET) != 0)
            break;
        memset(name, 0, sizeof name);
        is_there = fread(name, 1, sizeof name - 1, file) && !strcmp(name, ".debug_info");
    }
    fclose(file);
    return is_there || has_debug_file(module);
}

static void ask_argument(int fd, char what, unsigned position, unsigned detail)
{
    if (position)
        dprintf(fd, " %c%u.%u", what, position, detail);
}

static void ask(int fd, const struct decision *decision)
{
    const struct named_spec *spec = &decision->spec;
    bool is_result = spec->item_at == ITEM_RESULT || spec->item_at == ITEM_RESULT2;
    char object = spec->is_narrow ? 'n' : 'o';

    dprintf(fd, "%lx", (unsigned long)(decision->address - decision->where->elf.base));
    switch (spec->kind) {
    case NAMED_CALL:
        ask_argument(fd, 'f', spec->fn, spec->cbarg);
        ask_argument(fd, 'a', spec->arg, 0);
        break;
    case NAMED_FIELD:
        ask_argument(fd, 'm', spec->obj, spec->off);
        break;
    case NAMED_STDFUNCTION:
        ask_argument(fd, 's', spec->obj, 0);
        break;
    default:
        ask_argument(fd, object, is_result ? 0 : spec->obj, 0);
        ask_argument(fd, 'o', spec->to, 0);
        ask_argument(fd, spec->queue_at == ITEM_POINTED ? 'o' : 'n', spec->queue, 0);
    }
    if (is_result || spec->queue_at == ITEM_RESULT || spec->ok_bits)
        dprintf(fd, " %c", spec->item_at == ITEM_RESULT2 ? 'R' : 'r');
    dprintf(fd, "\n");
}

static bool is_asked(const struct decision *decision)
{
    return decision->where && decision->row.by != HOW_AUTO && !decision->spec.is_unsafe &&
           decision->spec.kind != NAMED_SET;
}

static void ask_all_of(const char *helper, const struct module *module, struct decision *decisions,
                       unsigned rows)
{
    char *words[] = {(char *)(uintptr_t)helper, (char *)"hooks", (char *)(uintptr_t)module->path,
                     NULL};
    static char answers[ANSWERS];
    char *line = answers;
    int questions = memfd_create("questions", MFD_CLOEXEC);

    if (questions < 0)
        return;
    for (unsigned i = 0; i < rows; i++) {
        if (decisions[i].where == module && is_asked(&decisions[i]))
            ask(questions, &decisions[i]);
    }
    lseek(questions, 0, SEEK_SET);
    if (fits_ask(words, questions, answers, sizeof answers) != 0)
        *answers = '\0';
    close(questions);
    for (unsigned i = 0; i < rows; i++) {
        char *end = strchr(line, '\n');

        if (decisions[i].where != module || !is_asked(&decisions[i]))
            continue;
        if (!end)
            return;
        *end = '\0';
        if (*line) {
            snprintf(decisions[i].row.reason, sizeof decisions[i].row.reason,
                     "it does not fit: %.170s", line);
            decisions[i].row.by = HOW_AUTO;
            decisions[i].note[0] = '\0';
        }
        line = end + 1;
    }
}

void fits_hooks(struct decision *decisions, unsigned rows)
{
    const struct module *asked[MODULES_MAX];
    unsigned count = 0;
    char helper[4096];

    if (!fits_helper(helper, sizeof helper))
        return;
    for (unsigned i = 0; i < rows; i++) {
        const struct module *module = decisions[i].where;
        unsigned known = 0;

        if (!is_asked(&decisions[i]))
            continue;
        while (known < count && asked[known] != module)
            known++;
        if (known < count)
            continue;
        asked[count++] = module;
        if (has_debug_information(module))
            ask_all_of(helper, module, decisions, rows);
    }
}
