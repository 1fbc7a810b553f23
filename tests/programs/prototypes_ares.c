// Every row of hooks.def for c-ares has the type of the library's own header.
// libs: libcares
// flags: -Ishim -D_GNU_SOURCE
#include <ares.h>
#include <netdb.h>

#define WANT_ARES 1
#include "prototypes.h"
