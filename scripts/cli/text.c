/*
 * What a user reads. The rule: names that come from files, reports and arguments are printed through
 * `clean`, because a terminal obeys what it is shown.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/config.h"
#include "slots/kind.h"
#include "slots/slots.h"
#include "text.h"

enum { BUFFERS = 8 };

void (*say_before)(void);

static void say_args(const char *format, va_list args)
{
    if (say_before)
        say_before();
    fflush(stdout);
    fputs("baton: ", stderr);
    vfprintf(stderr, format, args);
}

void say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_args(format, args);
    va_end(args);
    fputc('\n', stderr);
}

void fail(int status, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_args(format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(status);
}

void usage_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    say_args(format, args);
    va_end(args);
    fputs("\nTry: baton --help\n", stderr);
    exit(EXIT_USAGE);
}

bool wants_colour(FILE *out)
{
    const char *no_colour = getenv("NO_COLOR"), *term = getenv("TERM");

    return isatty(fileno(out)) && !(no_colour && *no_colour) && term && strcmp(term, "dumb") != 0;
}

void *allocated(void *block)
{
    if (!block)
        fail(EXIT_FAILED, "out of memory");
    return block;
}

char *joined(const char *format, ...)
{
    va_list args;
    char *text;

    va_start(args, format);
    if (vasprintf(&text, format, args) < 0)
        text = NULL;
    va_end(args);
    return allocated(text);
}

/* A buffer of at least SIZE bytes that stays until BUFFERS more were asked for. */
static char *buffer_next(size_t size)
{
    static char *buffers[BUFFERS];
    static unsigned next;
    char **buffer = &buffers[next++ % BUFFERS];

    *buffer = allocated(realloc(*buffer, size));
    return *buffer;
}

/* How many bytes of a printable character of UTF-8 stand there; 0: none. */
static size_t utf8_len(const unsigned char *c)
{
    static const unsigned smallest[5] = {0, 0x20, 0xa0, 0x800, 0x10000};
    size_t len = c[0] < 0x80   ? 1
                 : c[0] < 0xc2 ? 0
                 : c[0] < 0xe0 ? 2
                 : c[0] < 0xf0 ? 3
                 : c[0] < 0xf5 ? 4
                               : 0;
    unsigned value = len == 1 ? c[0] : len ? c[0] & (0xffu >> (len + 1)) : 0;

    for (size_t i = 1; i < len; i++) {
        if ((c[i] & 0xc0) != 0x80)
            return 0;
        value = value << 6 | (c[i] & 0x3f);
    }
    /* Marks that turn the direction of writing hide what is written. */
    if (!len || value < smallest[len] || value == 0x7f || value > 0x10ffff ||
        (value >= 0xd800 && value < 0xe000) || (value >= 0x200e && value <= 0x200f) ||
        (value >= 0x2028 && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069))
        return 0;
    return len;
}

const char *clean(const char *text)
{
    char *buffer = buffer_next(strlen(text) * 4 + 1), *to = buffer;

    while (*text) {
        size_t len = utf8_len((const unsigned char *)text);

        if (len) {
            memcpy(to, text, len);
            to += len;
            text += len;
        } else {
            to += sprintf(to, "\\x%02x", (unsigned char)*text++);
        }
    }
    *to = '\0';
    return buffer;
}

const char *quoted(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-_=+:,./@%^";
    char *buffer, *to;

    if (*text && !text[strspn(text, plain)])
        return text;
    buffer = to = buffer_next(strlen(text) * 4 + 3);
    *to++ = '\'';
    for (; *text; text++) {
        if (*text == '\'')
            to += sprintf(to, "'\\''");
        else
            *to++ = *text;
    }
    strcpy(to, "'");
    return clean(buffer);
}

const char *nearest(const char *name, const char *const *list)
{
    const char *best = NULL;
    unsigned limit = (unsigned)strlen(name) / 3 + 1;

    for (; *list; list++) {
        unsigned distance = config_name_distance(name, *list);

        if (distance <= limit) {
            best = *list;
            limit = distance ? distance - 1 : 0;
        }
    }
    return best;
}

bool looks_like_item(const char *text)
{
    size_t len = strcspn(text, ":;,");
    const struct slot_kind *kind = slot_kind_find(text, len);

    if (kind)
        return (kind->form->shape == SHAPE_ALONE) == (text[len] != ':');
    if (!strncmp(text, "preset:", 7) ||
        (len == 4 && !memcmp(text, "auto", len) && text[len] != ':'))
        return true;
    return strstr(text, "(kind=") != NULL;
}
