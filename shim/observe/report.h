/* BATON_REPORT: what happened, as one JSON object at exit (scripts/man/baton.7.in has its schema). */
#ifndef BATON_OBSERVE_REPORT_H
#define BATON_OBSERVE_REPORT_H

#include <stdbool.h>

/* Writes to `target`: "stderr", or a file that is appended to, one line a process; "%p" in the name
 * is the process id. Called once, when exit has begun. */
/* Begins the live report beside `target` (base/live.h), if that is a file. Before the first thread block. */
void report_begin(const char *target);

/* Asks the system for what is written with at exit; before main, also where nothing is carried yet. */
void report_prepare(void);
/* No report can be written where the process exits: what happened to items is told to the live report. Calls nothing. */
void report_tell_last(void);

/* Settings and items that were wrong: set before. */
extern unsigned report_errors;
/* BATON_LATENCY. */
extern bool report_has_latency;
/* BATON_READS. */
extern bool report_has_reads;

void report_write(const char *target);

#endif
