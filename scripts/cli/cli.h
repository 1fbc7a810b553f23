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
#include <stdio.h>

#include "text.h"

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
    int dashes; /* so many of them stood before "--"; -1: there was none */
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

/* ---- files.c: where we are, and what there is to run ---- */

/* The folder of this program, without a slash at the end; a path of a file in it. */
const char *our_folder(void);
char *our_file(const char *name);
/* A file that exists and can be read, as an absolute path: the program may change its directory. */
char *absolute(const char *path);
/* A folder of its own in TMPDIR or /tmp, PREFIX and six letters; those that launchers left behind which a signal has ended go.
 * NULL, with errno: it cannot be made. */
char *make_folder(const char *prefix);
/* With the files in it. */
void remove_folder(const char *folder);
/* The path of what exec will find; ends the program when there is none (127) or it is no program (126). */
char *program_find(const char *name);

/* The same without the end: NULL. */
char *program_look(const char *name);

/* ---- inspect.c: what kind of file a program is ---- */

enum program_kind {
    PROGRAM_FINE,
    PROGRAM_STATIC,
    PROGRAM_MUSL,
    PROGRAM_CLASS,   /* 32 bits for us of 64 */
    PROGRAM_MACHINE, /* of another processor */
    PROGRAM_UNKNOWN  /* no program that we know, or not to be read */
};

struct program {
    const char *path; /* as it was found */
    const char *file; /* what runs: itself, or the interpreter of a script */
    enum program_kind kind;
    bool is_script, is_privileged;
    char loader[256]; /* the one that it names */
};
void program_inspect(const char *path, struct program *out);
/* Why nothing can be carried in it; NULL: something can. */
const char *program_refusal(const struct program *program);
/* Does it name a loader that is not the system's? What that loads is not known. */
bool program_has_other_loader(const struct program *program);
/* Why LIBRARY cannot be loaded with the program: its C library is too old. NULL: it can, or nobody knows. */
char *program_lacks(const struct program *program, const char *library);
/* Is libpthread a part of its C library, as from glibc 2.34 on, so that sem_post is there in each program? False too where
 * that is not known. */
bool program_has_threads(const struct program *program);
/* Its name for messages. */
char *program_name(const struct program *program);
bool program_is_shell(const char *path);
/* PATH with these ARGUMENTS is a program that starts another, as timeout does, or a shell's script that ends in
 * `exec PROGRAM`: that one's path; NULL. */
char *program_behind(const char *path, char **arguments);

/* ---- wait.c ---- */

/* Starts a child that becomes the program, and waits for its end; answers its wait status. */
int wait_for_child(int (*become)(char **argv), char **argv);
/* Becomes the program; comes back, with the status to end with, when it has said why it cannot. */
int become_program(char **argv);

/* ---- watch.c: a run that is told about at its end ---- */

bool watch_is_wanted(const struct cli *cli);
void watch_say_why_not(const struct cli *cli);
/* Runs the program, says the verdict, ends as the program did. Comes back when it cannot. */
void watch_run(const struct cli *cli, int (*become)(char **argv));

/* Ends this process as that one ended. */
void end_as(int status) __attribute__((noreturn));

/* ---- settings.c: the environment that the library reads ---- */

/* Appends to a list of items. */
void setting_add(const char *name, const char *item);
/* Is ITEM one of the items of LIST? */
bool setting_has(const char *list, const char *item);
/* --config and --report. */
void setting_config(const char *file);
void setting_report(const char *file);

/* ---- progress.c ---- */

/* Until progress_end or a message standard error, where it is a terminal, shows "WHAT: N s" from the second second on. */
void progress_begin(const char *what);
void progress_end(void);

/* ---- planner.c ---- */

/* A status of baton-plan: BATON_CARRY is auto, and nothing was chosen. */
enum { PLANNER_NOTHING_KNOWN = 3 };
/* Runs baton-plan VERB PROGRAM; what it says on stderr is printed, cleaned. Its status, or -1; its output in *answer,
 * NULL when it could not be started. KEY (NULL: none) is where it may keep the answer. */
int planner_run(const char *verb, const char *program, const char *key, char **answer);
/* Its output, cleaned line by line. */
void planner_print(const char *answer);

/* ---- answer.c: what baton-plan has answered before ---- */

/* The name of an answer about the program with the settings as they are now: KEPT_KEY digits. */
void answer_key(const char *program, char *key);
/* The status of `baton-plan object` as it was and its output without the end of line; -1: it has to be asked. */
int answer_find(const char *key, char **object);

/* ---- crash_report.c ---- */

/* Prints TEXT, which is changed, with names as the source has them and places in the source; the report's list of
 * modules too if HAS_MODULES. */
void crash_report_print(char *text, bool has_modules);
/* The same of a file, "-": standard input. */
void crash_report_file(const char *path);

/* ---- preload.c ---- */

/* The path of a library of ours that lies beside us; ends the program when it cannot be preloaded. */
char *preload_library(const char *name);
/* The value of LD_PRELOAD: libasan if the program needs it, OBJECT (NULL: none), LIBRARY, what the user has. */
char *preload_list(const char *program, const char *object, const char *library);
/* Adds what notes down where threads wait, for a verdict. BEHIND: the program that this one starts; NULL. */
void preload_waits(const struct program *program, const struct program *behind);

#endif
