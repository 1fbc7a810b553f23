/* What a user reads, and memory that is there or ends the program: of the launcher and baton-discover. */
#ifndef BATON_CLI_TEXT_H
#define BATON_CLI_TEXT_H

#include <stdbool.h>
#include <stdio.h>

/* Exit statuses of our own; those of a program that ran are the program's. */
enum {
    EXIT_FAILED = 1,
    EXIT_USAGE = 2,
    EXIT_SETTINGS = 64, /* BATON_STRICT: a setting is wrong */
    EXIT_REQUIRED = 65, /* --require: not everything was carried */
    EXIT_CANNOT_RUN = 126,
    EXIT_NOT_FOUND = 127
};

/* Before each message; NULL: nothing. */
extern void (*say_before)(void);

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
/* Does TEXT begin as an item to carry does, or a hook? */
bool looks_like_item(const char *text);
/* A name for a file as it must be typed in a shell; as `clean` where it lies. */
const char *quoted(const char *text);
/* A terminal, and its user wants colour (NO_COLOR). */
bool wants_colour(FILE *out);
void *allocated(void *block);
char *joined(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
