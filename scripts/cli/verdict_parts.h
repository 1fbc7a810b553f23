/* What verdict.c says, and verdict_problems.c finds. */
#ifndef BATON_CLI_VERDICT_PARTS_H
#define BATON_CLI_VERDICT_PARTS_H

#include <stdarg.h>

#include "cli.h"
#include "verdict.h"

enum { PROBLEMS_SAID = 3, PROBLEMS_TEXT = 2048 };

/* What is not as it was asked for, a sentence each. */
struct problems {
    char *text;
    size_t len, count;
    const char *item; /* of the first; what to check */
    bool is_hook;
    bool is_lost; /* what runs a preset's work was not met: handed over is all that it was */
    const char *wrong, *why; /* the first hook that was called and is wrong; NULL: none */
};

/* ITEM: what to check (NULL: no item is wrong); the first that is added is remembered. */
void __attribute__((format(printf, 4, 5)))
problems_add(struct problems *problems, const char *item, bool is_hook, const char *format, ...);
/* Looks at each item of LIST ("slots" or "hooks"), and answers how many there are. has_values: some items were seen by
 * tasks, so that one which was not is worth a word of its own. */
size_t problems_find(const struct reports *reports, const char *list, bool has_values,
                     struct problems *problems);
/* Was anything handed over? */
bool report_was_used(const json_t *report);
/* 1,200; good for the next three numbers. */
const char *grouped(long long number);

#endif
