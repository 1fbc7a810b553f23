/*
 * The command line from its table (options.def): parsing, and the help that cannot disagree with it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"

enum { HELP_WIDTH = 80, HELP_INDENT = 20 };

struct option {
    const char *command, *name, *value, *help;
};

static const struct option options[] = {
#define COMMAND(...)
#define OPTION(command, id, name, value, kind, help) {#command, name, value, help},
#include "options.def"
#undef COMMAND
#undef OPTION
};

const struct command commands[] = {
#define COMMAND(name, order, arguments, synopsis, summary) \
    {#name, ORDER_##order, synopsis, summary, cmd_##name},
#define OPTION(...)
#include "options.def"
#undef COMMAND
#undef OPTION
};
const unsigned commands_count = sizeof commands / sizeof *commands;

const struct command *command_find(const char *name)
{
    for (unsigned i = 0; i < commands_count; i++) {
        if (!strcmp(commands[i].name, name))
            return &commands[i];
    }
    return NULL;
}

static bool is_of(const struct option *option, const struct command *command)
{
    return !strcmp(option->command, command->name);
}

/* "name" or "name=value"; OPTIONS_COUNT: there is none. */
static unsigned option_find(const struct command *command, const char *text)
{
    size_t len = strcspn(text, "=");

    for (unsigned i = 0; i < OPTIONS_COUNT; i++) {
        if (is_of(&options[i], command) && !strncmp(options[i].name, text, len) &&
            !options[i].name[len])
            return i;
    }
    return OPTIONS_COUNT;
}

static void __attribute__((noreturn)) say_unknown(const struct command *command, const char *text)
{
    const char *names[OPTIONS_COUNT + 1], *near;
    char *name = strndup(text, strcspn(text, "="));
    unsigned count = 0;

    for (unsigned i = 0; i < OPTIONS_COUNT; i++) {
        if (is_of(&options[i], command))
            names[count++] = options[i].name;
    }
    names[count] = NULL;
    near = name && !strncmp(name, "--", 2) ? nearest(name + 2, names) : NULL;
    if (near)
        usage_error("%s: unknown option %s; did you mean --%s?", command->name, clean(name), near);
    usage_error("%s: unknown option %s", command->name, clean(text));
}

/* Takes the option at ARGV[at], which has one; how many words it was. */
static int take_option(struct cli *cli, int argc, char **argv, int at)
{
    const char *text = argv[at], *equals = strchr(text, '=');
    unsigned i = !strcmp(text, "-o")       ? option_find(cli->command, "output")
                 : !strncmp(text, "--", 2) ? option_find(cli->command, text + 2)
                                           : OPTIONS_COUNT;
    const char *value = "";
    int words = 1;

    if (!strcmp(text, "-h") || !strcmp(text, "--help")) {
        help_command(cli->command);
        exit(0);
    }
    if (i == OPTIONS_COUNT)
        say_unknown(cli->command, text);
    if (options[i].value[0]) {
        value = equals ? equals + 1 : at + 1 < argc ? argv[at + 1] : "";
        words = equals ? 1 : 2;
        if (!value[0])
            usage_error("%s: --%s needs a value, %s", cli->command->name, options[i].name,
                        options[i].value);
    } else if (equals) {
        usage_error("%s: --%s takes no value", cli->command->name, options[i].name);
    }
    cli->given[cli->given_count++] = (struct cli_given){(enum option_id)i, value};
    return words;
}

/* "run -- --carry key:a PROGRAM": behind the dashes it is the program's name, and there is none of that name. */
static void say_behind_dashes(const struct cli *cli, int argc, char **argv)
{
    const char *name = cli->command->name;
    char *right = joined("baton %s", name);
    int at = 0;

    for (unsigned i = 0; i < cli->given_count; i++) {
        const struct cli_given *given = &cli->given[i];

        right = joined("%s --%s", right, options[given->option].name);
        if (given->value[0])
            right = joined("%s %s", right, quoted(given->value));
    }
    while (at < argc && !strncmp(argv[at], "--", 2)) {
        unsigned i = option_find(cli->command, argv[at] + 2);
        bool has_value = i < OPTIONS_COUNT && options[i].value[0] && !strchr(argv[at], '=');

        if (i == OPTIONS_COUNT)
            break;
        for (int end = at + 1 + has_value; at < end && at < argc; at++)
            right = joined("%s %s", right, quoted(argv[at]));
    }
    if (!at || program_look(argv[0]))
        return;
    at += at < argc && !strcmp(argv[at], "--");
    usage_error("%s: %s stands behind the --, where the program begins: %s -- %s", name,
                clean(argv[0]), right, at < argc ? quoted(argv[at]) : "PROGRAM");
}

void cli_parse(struct cli *cli, int argc, char **argv)
{
    int at = 0;

    cli->dashes = -1;
    cli->given = allocated(calloc((size_t)argc + 1, sizeof *cli->given));
    cli->argv = allocated(calloc((size_t)argc + 1, sizeof *cli->argv));
    while (at < argc) {
        if (!strcmp(argv[at], "--")) {
            cli->dashes = cli->argc;
            at++;
            if (!cli->argc && strstr(cli->command->synopsis, "PROGRAM"))
                say_behind_dashes(cli, argc - at, argv + at);
            break;
        }
        if (argv[at][0] == '-' && argv[at][1]) {
            at += take_option(cli, argc, argv, at);
            continue;
        }
        if (cli->command->order == ORDER_FIRST)
            break;
        cli->argv[cli->argc++] = argv[at++];
    }
    while (at < argc)
        cli->argv[cli->argc++] = argv[at++];
}

bool cli_has(const struct cli *cli, enum option_id option)
{
    return cli_value(cli, option) != NULL;
}

const char *cli_value(const struct cli *cli, enum option_id option)
{
    for (unsigned i = cli->given_count; i-- > 0;) {
        if (cli->given[i].option == option)
            return cli->given[i].value;
    }
    return NULL;
}

/* TEXT from column AT on, its lines broken between words and begun at INDENT. */
static void print_wrapped(FILE *out, const char *text, int at, int indent)
{
    while (*text) {
        int len = (int)strcspn(text, " ");

        if (at > indent && at + 1 + len > HELP_WIDTH) {
            fprintf(out, "\n%*s", indent, "");
            at = indent;
        } else if (at > indent) {
            fputc(' ', out);
            at++;
        }
        fwrite(text, 1, (size_t)len, out);
        at += len;
        text += len;
        text += strspn(text, " ");
    }
    fputc('\n', out);
}

static void print_row(FILE *out, const char *name, const char *text)
{
    int at = fprintf(out, "  %s", name);

    if (at >= HELP_INDENT - 1) {
        fputc('\n', out);
        at = 0;
    }
    fprintf(out, "%*s", HELP_INDENT - at, "");
    print_wrapped(out, text, HELP_INDENT, HELP_INDENT);
}

void help_all(bool is_error)
{
    FILE *out = is_error ? stderr : stdout;

    fputs("baton " BATON_VERSION ": carries thread-local context across handoffs\n\n"
          "Usage: baton COMMAND [OPTION]... ARGUMENT...\n\n",
          out);
    for (unsigned i = 0; i < commands_count; i++) {
        fprintf(out, "  baton %s", commands[i].name);
        print_wrapped(out, commands[i].synopsis, 8 + (int)strlen(commands[i].name), 7);
        fprintf(out, "%*s", 6, "");
        print_wrapped(out, commands[i].summary, 6, 6);
    }
    fputs("  baton COMMAND --help\n"
          "      the options of a command\n"
          "  baton --version\n\n"
          "Items, settings and limits: man 7 baton, or the README.\n"
          "Example:\n"
          "  baton run --carry key:request_key -- ./server --port 8080\n",
          out);
}

void help_command(const struct command *command)
{
    print_wrapped(stdout,
                  joined("Usage: baton %s [OPTION]... %s", command->name, command->synopsis), 0, 0);
    putchar('\n');
    print_wrapped(stdout, command->summary, 0, 0);
    puts("\nOptions:");
    for (unsigned i = 0; i < OPTIONS_COUNT; i++) {
        char name[128];

        if (!is_of(&options[i], command))
            continue;
        snprintf(name, sizeof name, "--%s%s%s", options[i].name, options[i].value[0] ? " " : "",
                 options[i].value);
        print_row(stdout, name, options[i].help);
    }
    print_row(stdout, "--help", "this text");
    puts("\nMore: man 1 baton; items and settings: man 7 baton.");
}
