// Every row of hooks.def for libev has the type of the library's own header.
// link: -lev
// flags: -Ishim -D_GNU_SOURCE
#include <ev.h>
#include <stddef.h>

/* What families/libev/libev.c knows of watchers. */
_Static_assert(offsetof(ev_watcher, active) == 0 && offsetof(ev_watcher, data) == 16 && offsetof(ev_watcher, cb) == 24 &&
                   offsetof(ev_io, cb) == 24 && offsetof(ev_timer, repeat) == 40,
               "watchers have changed");

#define WANT_LIBEV 1
#include "prototypes.h"
