/*
 * The launcher `baton`: a small program, so that it starts in a millisecond. scripts/baton, or the link in
 * bin/, execs it; what it needs besides (the library, baton-plan, adapters) lies in its own folder.
 *
 * A subcommand is a row of options.def and a file cmd_NAME.c.
 */
#ifndef BATON_CLI_H
#define BATON_CLI_H

#include <stdbool.h>
#include <stddef.h>

/* Exit statuses of our own; those of a program that ran are the program's. */
enum {
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_SETTINGS = 64, /* BATON_STRICT: a setting is wrong */
    EXIT_CANNOT_RUN = 126,
    EXIT_NOT_FOUND = 127
};

/* ---- options.c: the table, and what was given ---- */

enum command_order { ORDER_FIRST, ORDER_MIXED };

enum option_id {
#define COMMAND(...)
#define OPTION(command, id, ...) OPT_##command##_##id,
#include "options.def"
#undef COMMAND
#undef OPTION
    OPTIONS_COUNT
};

struct cli;
struct command {
    const char *name;
    enum command_order order;
    const char *synopsis, *summary;
    int (*run)(const struct cli *cli);
};
extern const struct command commands[];
extern const unsigned commands_count;

struct cli_given {
    enum option_id option;
    const char *value; /* "" when the option takes none */
};

/* A command line, taken apart. */
struct cli {
    const struct command *command;
    struct cli_given *given; /* in the order of the command line */
    unsigned given_count;
    int argc; /* what is no option, and after it NULL */
    char **argv;
    bool has_dashes; /* "--" stood before the arguments */
};

/* Takes ARGV, which begins behind the subcommand's name, apart. Ends the program when it is wrong or asks
 * for help. */
void cli_parse(struct cli *cli, int argc, char **argv);
bool cli_has(const struct cli *cli, enum option_id option);
/* The last value that was given; NULL: none. */
const char *cli_value(const struct cli *cli, enum option_id option);
/* The subcommand of that name; NULL. */
const struct command *command_find(const char *name);
void help_all(bool is_error);
void help_command(const struct command *command);

/* One for each COMMAND row. */
#define COMMAND(name, ...) int cmd_##name(const struct cli *cli);
#define OPTION(...)
#include "options.def"
#undef COMMAND
#undef OPTION

/* ---- text.c: what a user reads ---- */

/* "baton: ..." on stderr. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The same, and the end. */
void fail(int status, const char *format, ...) __attribute__((format(printf, 2, 3), noreturn));
/* A wrong command line: the same with where to look, status EXIT_USAGE. */
void usage_error(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* TEXT without what would move a terminal's cursor or colour it: control characters, and bytes that are no
 * UTF-8, as \xNN. In one of a few static buffers: use it before eight more are asked for. */
const char *clean(const char *text);
/* The name nearest to NAME in the list, which ends with NULL; NULL when none is near. */
const char *nearest(const char *name, const char *const *list);
/* A name for a file as it must be typed in a shell; as `clean` where it lies. */
const char *quoted(const char *text);
void *allocated(void *block);
char *joined(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* ---- files.c: where we are, and what there is to run ---- */

/* The folder of this program, without a slash at the end; a path of a file in it. */
const char *our_folder(void);
char *our_file(const char *name);
/* A file that exists and can be read, as an absolute path: the program may change its directory. */
char *absolute(const char *path);
/* The path of what exec will find; ends the program when there is none (127) or it is no program (126). */
char *program_find(const char *name);

/* ---- settings.c: the environment that the library reads ---- */

/* Appends to a list of items. */
void setting_add(const char *name, const char *item);
/* --config and --report. */
void setting_config(const char *file);
void setting_report(const char *file);

/* ---- preload.c ---- */

/* The value of LD_PRELOAD: libasan if the program needs it, OBJECT (NULL: none), LIBRARY, what the user has. */
char *preload_list(const char *program, const char *object, const char *library);

#endif
