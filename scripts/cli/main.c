/*
 * The launcher: the first word is a subcommand. Nothing here knows their names: see options.def.
 */
#include <stdio.h>
#include <string.h>

#include "cli.h"

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : NULL;
    struct cli cli = {.command = NULL};

    if (!name) {
        help_all(true);
        return EXIT_USAGE;
    }
    if (!strcmp(name, "-V") || !strcmp(name, "--version")) {
        puts("baton " BATON_VERSION);
        return 0;
    }
    if (!strcmp(name, "-h") || !strcmp(name, "--help") || !strcmp(name, "help")) {
        const struct command *command = argc > 2 ? command_find(argv[2]) : NULL;

        if (command)
            help_command(command);
        else
            help_all(false);
        return 0;
    }
    cli.command = command_find(name);
    if (!cli.command) {
        const char *names[32];
        const char *near;

        for (unsigned i = 0; i < commands_count; i++)
            names[i] = commands[i].name;
        names[commands_count] = NULL;
        near = nearest(name, names);
        if (name[0] == '-')
            usage_error("unknown option %s%s", clean(name),
                        argc > 2
                            ? "; the command comes first, as in: baton run --carry ITEM -- PROGRAM"
                            : "");
        if (near)
            usage_error("unknown command %s; did you mean %s?", clean(name), near);
        usage_error("unknown command %s", clean(name));
    }
    cli_parse(&cli, argc - 2, argv + 2);
    return cli.command->run(&cli);
}
