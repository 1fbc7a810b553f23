/* The text of the report: it grows by pages, and is cut where there are none. */
#include "observe/report_parts.h"

#include <stdarg.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

/* Room for NEED bytes more and a terminator. */
static bool make_room(struct report_text *text, size_t need)
{
    size_t wanted = text->capacity;
    char *grown;

    while (wanted - text->len <= need)
        wanted *= 2;
    if (wanted == text->capacity)
        return true;
    grown = mem_map(wanted);
    if (!grown) {
        text->is_cut = true;
        return false;
    }
    memcpy(grown, text->start, text->len);
    mem_unmap(text->start, text->capacity);
    text->start = grown;
    text->capacity = wanted;
    return true;
}

void report_add(struct report_text *text, const char *format, ...)
{
    va_list args;
    size_t len;

    va_start(args, format);
    len = (size_t)fmt_vbuf(text->start + text->len, text->capacity - text->len, format, args);
    va_end(args);
    if (len >= text->capacity - text->len) {
        if (!make_room(text, len))
            return;
        va_start(args, format);
        fmt_vbuf(text->start + text->len, text->capacity - text->len, format, args);
        va_end(args);
    }
    text->len += len;
}

void report_add_string(struct report_text *text, const char *string)
{
    size_t size = strlen(string);

    if (make_room(text, 6 * size + 2))
        text->len += text_json(text->start + text->len, text->capacity - text->len, string, size);
}
