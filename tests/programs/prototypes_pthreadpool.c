// Every row of hooks.def for libpthreadpool has the type of its own header.
// flags: -Ishim -DPTHREADPOOL_NO_DEPRECATED_API=1
#if __has_include(<pthreadpool.h>)
#include <pthreadpool.h>
#define WANT_PTHREADPOOL 1
#endif
#include "prototypes.h"
