// Every row of hooks.def for libevent has the type of the library's own header.
// libs: libevent
// flags: -Ishim -D_GNU_SOURCE
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/dns_compat.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <event2/event_compat.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <event2/thread.h>
#include <stddef.h>

typedef void event_callback_function(int fd, short what, void *arg);

/* What handoffs/libevent.c knows of struct event, for some versions. */
_Static_assert(offsetof(struct event, ev_evcallback.evcb_cb_union.evcb_callback) == 24 &&
                   offsetof(struct event, ev_evcallback.evcb_arg) == 32,
               "struct event has changed");

#define WANT_LIBEVENT 1
#include "prototypes.h"
