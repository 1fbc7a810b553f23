/*
 * baton check: what would become of each item, found out without running the program (baton-plan).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"

/* A list without an option: what has (kind=...) or is a preset is a hook, the rest is to be carried. */
static void take_list(char *list)
{
    char *state, *item;

    for (item = strtok_r(list, ";", &state); item; item = strtok_r(NULL, ";", &state)) {
        bool is_hook = strchr(item, '(') || !strncmp(item, "preset:", 7);

        setting_add(is_hook ? "BATON_HOOKS" : "BATON_CARRY", item);
    }
}

static bool is_set(const char *name)
{
    const char *value = getenv(name);

    return value && *value;
}

int cmd_check(const struct cli *cli)
{
    char *planner = our_file("baton-plan"), *path, *behind, *answer;
    struct program program;
    int items, status;

    for (unsigned i = 0; i < cli->given_count; i++) {
        const char *value = cli->given[i].value;

        switch (cli->given[i].option) {
        case OPT_check_auto:
            setting_add("BATON_CARRY", "auto");
            break;
        case OPT_check_carry:
            setting_add("BATON_CARRY", value);
            break;
        case OPT_check_hook:
            setting_add("BATON_HOOKS", value);
            break;
        case OPT_check_preset:
            setting_add("BATON_HOOKS", joined("preset:%s", value));
            break;
        case OPT_check_config:
            setting_config(value);
            break;
        default:
            break;
        }
    }
    if (!cli->argc)
        usage_error("check: which program?");
    if (cli->argc == 2 && cli->dashes < 0 && looks_like_item(cli->argv[1]) &&
        program_look(cli->argv[0]))
        usage_error("check: the items come first: baton check %s %s", quoted(cli->argv[1]),
                    quoted(cli->argv[0]));
    items = cli->dashes >= 0 ? cli->dashes : cli->argc - 1;
    for (int i = 0; i < items; i++) {
        if (!looks_like_item(cli->argv[i]) && !strpbrk(cli->argv[i], ":;(") &&
            program_look(cli->argv[i]))
            usage_error("check: %s is a program; its command line stands behind --, as in: baton "
                        "check %s -- %s %s",
                        clean(cli->argv[i]), i ? quoted(cli->argv[0]) : "ITEM",
                        quoted(cli->argv[i]), quoted(cli->argv[i + 1]));
    }
    for (int i = 0; i < items; i++)
        take_list(cli->argv[i]);
    if (items == cli->argc)
        usage_error("check: which program? After -- stands its command line");
    if (cli->dashes < 0 && looks_like_item(cli->argv[items]) && !program_look(cli->argv[items]))
        usage_error("check: %s is an item; which program?", clean(cli->argv[items]));
    if (access(planner, X_OK) != 0)
        fail(EXIT_FAILED, "cannot find %s (in the source tree, run make first)", clean(planner));
    path = program_find(cli->argv[items]);
    behind = program_behind(path, cli->argv + items + 1);
    if (behind) {
        printf("%s starts %s, which is looked at\n", clean(path), clean(behind));
        path = behind;
    }
    program_inspect(path, &program);
    if (program_refusal(&program))
        fail(EXIT_FAILED, "%s: %s", program_name(&program), program_refusal(&program));
    if (program.is_script)
        printf("%s%s\n", program_name(&program),
               program_is_shell(program.file)
                   ? "; what it starts in turn cannot be told from its lines: name that program"
                   : "");
    if (!is_set("BATON_CARRY") && !is_set("BATON_HOOKS") && !is_set("BATON_CONFIG")) {
        if (program_has_other_loader(&program))
            fail(EXIT_FAILED,
                 "%s: names a loader that is not the system's (%s), which is not run to look at "
                 "it: whether baton can be loaded with it is not known",
                 program_name(&program), clean(program.loader));
        printf("%s: baton can be loaded with it; no item was given. What there is to carry: baton "
               "discover -- %s\n",
               program_name(&program), quoted(cli->argv[items]));
        return 0;
    }
    fflush(stdout);
    status = planner_run("check", program.is_script ? program.file : path, NULL, &answer);
    if (!answer)
        fail(EXIT_FAILED, "%s: cannot be run: %s", clean(planner), strerror(errno));
    planner_print(answer);
    if (status < 0)
        fail(EXIT_FAILED, "%s: baton-plan cannot read it", clean(path));
    return status;
}
