// Every row of hooks.def for libevent has the type of the library's own header.
// libs: libevent
// flags: -Ishim -D_GNU_SOURCE
#include <event2/buffer.h>
#include <event2/buffer_compat.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_compat.h>
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

/* What families/libevent/add.c knows of struct event, for some versions. */
_Static_assert(offsetof(struct event, ev_evcallback.evcb_cb_union.evcb_callback) == 24 &&
                   offsetof(struct event, ev_evcallback.evcb_arg) == 32,
               "struct event has changed");

/* Not in its headers, but exported: what libevent calls through its own linkage table. */
void event_mm_free_(void *);
void evhttp_connection_fail_(struct evhttp_connection *, enum evhttp_request_error);

/* An enum is not an int to the compiler, but passes as one. */
_Static_assert(sizeof(enum evhttp_request_error) == 4 && sizeof(enum evhttp_cmd_type) == 4 &&
                   sizeof(enum bufferevent_filter_result) == 4 && sizeof(enum bufferevent_flush_mode) == 4,
               "an enum passes as an int");
int evhttp_make_request_(struct evhttp_connection *, struct evhttp_request *, int, const char *);
void evhttp_request_set_error_cb_(struct evhttp_request *, void (*)(int, void *));
void evhttp_connection_fail__(struct evhttp_connection *, int);
typedef int filter(struct evbuffer *, struct evbuffer *, ev_ssize_t, int, void *);
struct bufferevent *bufferevent_filter_new_(struct bufferevent *, filter *, filter *, int, void (*)(void *), void *);
#define bufferevent_filter_new bufferevent_filter_new_
#define evhttp_make_request evhttp_make_request_
#define evhttp_request_set_error_cb evhttp_request_set_error_cb_
#define evhttp_connection_fail_ evhttp_connection_fail__

#define WANT_LIBEVENT 1
#include "prototypes.h"
