/* A terminal's screen for what is shown again and again (baton top): ncurses, opened when it is asked for. */
#ifndef BATON_CLI_SCREEN_H
#define BATON_CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* False: stdout is no terminal that it knows, or ncurses is not installed. Nothing has changed then. */
bool screen_begin(void);
/* Shows TEXT from the top, one line bold (-1: none); what does not fit is cut off. */
void screen_show(const char *text, int bold_line);
/* Waits for that long or a key. True: it was one that ends (q, Escape). */
bool screen_wait(int ms);
/* The terminal is what it was. */
void screen_end(void);

#endif
