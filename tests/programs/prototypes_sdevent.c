// Every row of hooks.def for sd-event has the type of the library's own header.
// libs: libsystemd
// flags: -Ishim -D_GNU_SOURCE
#include <systemd/sd-event.h>

#define WANT_SDEVENT 1
#include "prototypes.h"
