/*
 * Printing of names from files that nobody trusts.
 *
 * The ends of lines are the format's own: they go through as a mark, and where an argument has that mark itself,
 * so that nobody could tell them apart, all is one line.
 */
#include "told.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

enum { MARK = 1 };

static size_t swap(char *text, char from, char to)
{
    size_t count = 0;

    for (; *text; text++) {
        if (*text == from) {
            *text = to;
            count++;
        }
    }
    return count;
}

/* What nobody would see, or what a terminal would obey, in hexadecimal digits. */
static void put_clean(FILE *to, const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n ? n : 1) {
        n = text_shown(text + i, len - i);
        if (n)
            fwrite(text + i, 1, n, to);
        else
            fprintf(to, "\\x%02x", (unsigned char)text[i]);
    }
}

void told(FILE *to, const char *format, ...)
{
    char *marked = strdup(format), *text = NULL, *end;
    size_t lines = marked ? swap(marked, '\n', MARK) : 0, marks = 0;
    va_list args;
    int len;

    va_start(args, format);
    len = marked ? vasprintf(&text, marked, args) : -1;
    va_end(args);
    free(marked);
    if (len < 0)
        return;
    for (const char *at = text; *at; at++)
        marks += *at == MARK;
    for (char *at = text; at < text + len; at = end + 1) {
        end = marks == lines ? strchr(at, MARK) : NULL;
        put_clean(to, at, end ? (size_t)(end - at) : strlen(at));
        if (end || marks != lines)
            fputc('\n', to);
        if (!end)
            break;
    }
    free(text);
}
