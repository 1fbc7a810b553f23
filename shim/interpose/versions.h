/* Which versions of a library were read and tested (versions.def), and what to do with others. */
#ifndef BATON_INTERPOSE_VERSIONS_H
#define BATON_INTERPOSE_VERSIONS_H

#include <stdbool.h>
#include <stddef.h>

#define NAMED(...)
enum version_id {
#define ASKED(id, ...) VERSION_##id,
#include "interpose/versions.def"
#undef ASKED
    VERSION_COUNT
};
#undef NAMED

/* Was the library's version NUMBER (0: it cannot be asked) read? If not, that is said once, and kept for the report. */
bool version_is_read(enum version_id id, unsigned number);

struct version_untried {
    const char *name, *beyond; /* the library's name; what happens */
    char number[24];
};
/* What was met and not read; false: nothing, of this one. */
bool version_get_untried(enum version_id id, struct version_untried *out);

#endif
