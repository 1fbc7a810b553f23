/*
 * Versions of libraries: whether one was read, and what is told of one that was not.
 *
 * Rule: whoever finds that its library's version is beyond takes the safe way or none, and says so here once;
 * only where something of the library was met is there anything to tell.
 */
#include "interpose/versions.h"

#include <stdatomic.h>

#include "base/log.h"

#define NAMED(...)

struct row {
    const char *library, *beyond;
    unsigned first, last, shift;
};

static const struct row *row_of(enum version_id id)
{
    static const struct row rows[] = {
#define ASKED(id, library, first, last, shift, read, beyond) {library, beyond, first, last, shift},
#include "interpose/versions.def"
#undef ASKED
    };

    return &rows[id];
}

enum { IS_SEEN = 1u << 31 };
static _Atomic unsigned untried[VERSION_COUNT]; /* with IS_SEEN; 0: none */

static void write_number(const struct row *row, unsigned number, char *out, size_t size)
{
    if (!number)
        fmt_buf(out, size, "unknown");
    else if (row->shift)
        fmt_buf(out, size, "%u.%u.%u", number >> row->shift & 255, number >> (row->shift - 8) & 255,
                number >> (row->shift - 16) & 255);
    else
        fmt_buf(out, size, "%u", number);
}

bool version_is_read(enum version_id id, unsigned number)
{
    const struct row *row = row_of(id);
    char text[24];

    if (number >= row->first && number <= row->last)
        return true;
    if (!atomic_exchange(&untried[id], number | IS_SEEN)) {
        write_number(row, number, text, sizeof text);
        log_msg(LOG_LEVEL_INFO, "%s %s has not been tried: %s", row->library, text, row->beyond);
    }
    return false;
}

bool version_get_untried(enum version_id id, struct version_untried *out)
{
    const struct row *row = row_of(id);
    unsigned number = atomic_load(&untried[id]);

    if (!number)
        return false;
    out->name = row->library;
    out->beyond = row->beyond;
    write_number(row, number & ~IS_SEEN, out->number, sizeof out->number);
    return true;
}
