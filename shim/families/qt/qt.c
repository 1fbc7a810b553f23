/* Which Qt the program is bound to. Qt 4 has functions of the same names. */
#include "families/qt/qt.h"

#include "base/log.h"
#include "interpose/next.h"

int qt_version(enum family family, const void *caller)
{
    static _Atomic bool is_said;
    const char *(*version)(void) = NEXT(const char *(*)(void), "qVersion", caller);
    const char *text = version ? version() : NULL;

    if (likely(text && (*text == '5' || *text == '6') && text[1] == '.'))
        return *text - '0';
    context_count_bare(family, BARE_LAYOUT);
    if (!atomic_exchange(&is_said, true))
        log_msg(LOG_LEVEL_WARN,
                "qt: a version of Qt that has not been tried: nothing of it is carried");
    return 0;
}
