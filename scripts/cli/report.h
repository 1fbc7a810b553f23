/*
 * Reports as they were read: one for each process. Everything that prints them works on these.
 */
#ifndef BATON_CLI_REPORT_H
#define BATON_CLI_REPORT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct reports {
    json_t **at; /* each an object with "schema" */
    size_t count;
    long running; /* a process that has not ended, as a daemon; 0: none */
};

/* Adds what is in FILE ("-": standard input); ends the program when it is no report. */
void reports_read(struct reports *reports, const char *file);

/* report_live.c: processes that have not come to their exit. FILE.PID.live, for every PID: those that have ended are
 * told of in FILE and taken away, if TAKE says so. How many were added. */
size_t reports_read_live(struct reports *reports, const char *file, bool take);
/* Those that are there now belong to no run that follows: they are taken away, and not added. */
void reports_note_live(const char *file);
/* The process PID; ends the program when it has none. */
void reports_read_now(struct reports *reports, const char *pid);
void reports_add(struct reports *reports, json_t *report);

/* A member's text or number; "" or 0 when it is not there. */
const char *report_text(const json_t *object, const char *name);
long long report_number(const json_t *object, const char *name);
/* A number of a report, between 0 and what no process counts up to: thousands of them can be added. */
long long report_value(const json_t *number);

void report_print_tables(const struct reports *reports);
/* In one line of JSON, of ASCII alone: nothing in a name steers a terminal. To be freed. */
char *report_line(const json_t *report);
void report_print_json(const struct reports *reports);
void report_print_prometheus(const struct reports *reports);

/* What was added to FILE from the byte FROM on; false: nothing, or no report. For a run that has ended. */
bool reports_read_since(struct reports *reports, const char *file, long long from);

#endif
