/* Text that came from elsewhere (settings, names in files), made fit to be shown. */
#ifndef BATON_BASE_TEXT_H
#define BATON_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* How many of the N bytes at AT are one character of UTF-8 that a terminal shows and does not obey.
 * 0: none, or a control character, or one that turns the direction of writing. */
size_t text_shown(const char *at, size_t n);

/* Is this character a space that looks like none, or like a plain one: no-break, of no width, of another script's? */
bool text_is_blank(const char *at, size_t n);

/* Put '?' in place of every byte that is not part of such a character. */
void text_clean(char *text, size_t len);

/* Write STRING of LEN bytes as a string of JSON, quotes included, into the N bytes at INTO, terminated
 * when N > 0. Answers the whole length, as snprintf does. A byte that is no UTF-8 becomes \\xHH. */
size_t text_json(char *into, size_t n, const char *string, size_t len);

/* PATTERN as a shell has it, with '*' alone. */
bool text_glob(const char *pattern, const char *text);

#endif
