// Every row of hooks.def for sd-event has the type of the library's own header.
// libs: libsystemd
// flags: -Ishim -D_GNU_SOURCE
#include <systemd/sd-event.h>

/* Of systemd 250: an older header has none, a newer one the same. */
int sd_event_add_inotify_fd(sd_event *, sd_event_source **, int, uint32_t, sd_event_inotify_handler_t, void *);

#define WANT_SDEVENT 1
#include "prototypes.h"
