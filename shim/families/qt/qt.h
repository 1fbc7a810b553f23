/* Which Qt it is, for the files of this family. */
#ifndef BATON_FAMILIES_QT_QT_H
#define BATON_FAMILIES_QT_QT_H

#include "families/handoff.h"

/* 5 or 6: the Qt that `caller` is bound to. 0: another one, whose objects are not touched; counted for
 * `family` and said once. */
int qt_version(enum family family, const void *caller);

#endif
