// Every row of hooks.def for nng has the type of the library's own header.
// needs: nng/nng.h
// link: -lnng
// flags: -Ishim -D_GNU_SOURCE
#include <nng/nng.h>
#include <nng/supplemental/http/http.h>
#include <nng/supplemental/util/platform.h>

#define WANT_NNG 1
#include "prototypes.h"
