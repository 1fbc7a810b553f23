/* What is printed, of files that nobody trusts. */
#ifndef BATON_PLAN_TOLD_H
#define BATON_PLAN_TOLD_H

#include <stdio.h>

/* As fprintf. A control character in an argument, a line's end too, is shown as \xHH: what a file has in its names is not obeyed by
 * the terminal, and makes no line of its own. */
void told(FILE *to, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
