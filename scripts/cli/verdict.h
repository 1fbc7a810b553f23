/*
 * Whether a run worked: one line from its reports. A task that saw a value counts; a run in which none did
 * is no success.
 */
#ifndef BATON_CLI_VERDICT_H
#define BATON_CLI_VERDICT_H

#include "report.h"

enum verdict_word { VERDICT_OK, VERDICT_PARTIAL, VERDICT_NOTHING };

struct verdict {
    enum verdict_word word;
    char *text; /* the whole line, clean */
};

/* TYPED: the program as the user named it, for what to type next; NULL: as in the reports. */
struct verdict verdict_of(const struct reports *reports, const char *typed);
/* In colour where OUT is a terminal that wants it. */
void verdict_print(FILE *out, const struct verdict *verdict);

#endif
