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

int cmd_check(const struct cli *cli)
{
    char *planner = our_file("baton-plan");

    for (unsigned i = 0; i < cli->given_count; i++) {
        const char *value = cli->given[i].value;

        switch (cli->given[i].option) {
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
    for (int i = 0; i + 1 < cli->argc; i++)
        take_list(cli->argv[i]);
    if (access(planner, X_OK) != 0)
        fail(EXIT_FAILED, "cannot find %s (in the source tree, run make first)", clean(planner));
    setenv("LD_PRELOAD", "", 1);
    execl(planner, planner, "check", program_find(cli->argv[cli->argc - 1]), (char *)NULL);
    fail(EXIT_FAILED, "%s: cannot be run: %s", clean(planner), strerror(errno));
}
