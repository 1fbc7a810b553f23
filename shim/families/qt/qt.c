/* Which Qt the program is bound to. Qt 4 has functions of the same names. */
#include "families/qt/qt.h"

#include "interpose/next.h"
#include "interpose/versions.h"

int qt_version(enum family family, const void *caller)
{
    const char *(*version)(void) = NEXT(const char *(*)(void), "qVersion", caller);
    const char *text = version ? version() : NULL;

    int number = text && text[1] == '.' && *text > '0' && *text <= '9' ? *text - '0' : 0;

    if (likely(version_is_read(VERSION_QT, (unsigned)number)))
        return number;
    context_count_bare(family, BARE_LAYOUT);
    return 0;
}
