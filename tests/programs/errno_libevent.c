// No call of libevent's, of GLib's sources and queues changes errno more than it does by itself.
// libs: libevent glib-2.0
// usage: errno_libevent [CARRIER]
#include "carrier.h"
#include <event2/buffer.h>
#include <event2/buffer_compat.h>
#include <event2/bufferevent.h>
#include <event2/dns.h>
#include <event2/event.h>
#include <event2/http.h>
#include <glib.h>

/* Each call three times: the first one finds what it needs. */
#define KEEPS(call)                             \
    for (int time = 0; time < 3; time++) {      \
        errno = 77;                             \
        (void)(call);                           \
        printf("%s: errno %d\n", #call, errno); \
    }

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    printf("event: errno %d\n", errno);
}

static void on_change(struct evbuffer *buffer, const struct evbuffer_cb_info *info, void *arg)
{
    printf("change: errno %d\n", errno);
    errno = 35;
}

static void on_length(struct evbuffer *buffer, size_t before, size_t after, void *arg)
{
}

static void on_request(struct evhttp_request *request, void *arg)
{
}

static struct bufferevent *on_buffer(struct event_base *base, void *arg)
{
    return NULL;
}

static void on_close(struct evhttp_connection *connection, void *arg)
{
    printf("close: errno %d\n", errno);
}

static int on_head(struct evhttp_request *request, void *arg)
{
    return 0;
}

static void on_error(enum evhttp_request_error error, void *arg)
{
}

static void on_answer(int result, char type, int count, int ttl, void *addresses, void *arg)
{
    printf("answer %d: errno %s\n", result, errno == 0 ? "0" : "of the loop");
}

static gboolean on_idle(gpointer arg)
{
    printf("idle: errno %d\n", errno);
    return G_SOURCE_REMOVE;
}

int main(int argc, char **argv)
{
    struct timeval soon = {0, 0};
    struct event_base *base;
    struct event *event;
    struct evbuffer *buffer;
    struct evhttp *http;
    struct evhttp_connection *connection;
    struct evhttp_request *request = NULL;
    struct evdns_base *dns;
    struct bufferevent *pair[2];
    GAsyncQueue *queue = g_async_queue_new();

    carrier_choose(argc > 1 ? argv[1] : "key");
    set_current(4);
    base = event_base_new();
    KEEPS(event = event_new(base, -1, 0, on_event, NULL));
    KEEPS(event_add(event, &soon));
    KEEPS(event_del(event));
    KEEPS((event_active(event, EV_READ, 1), 0));
    KEEPS(event_base_once(base, -1, EV_TIMEOUT, on_event, NULL, &soon));
    errno = 0;
    event_base_loop(base, EVLOOP_NONBLOCK);
    KEEPS(event_free(event = event_new(base, -1, 0, on_event, NULL)));
    buffer = evbuffer_new();
    KEEPS(evbuffer_add_cb(buffer, on_change, NULL));
    errno = 0;
    evbuffer_add(buffer, "x", 1);
    printf("after it changed: errno %d\n", errno);
    KEEPS(evbuffer_remove_cb(buffer, on_change, NULL));
    KEEPS(evbuffer_setcb(buffer, on_length, NULL));
    KEEPS(evbuffer_free(evbuffer_new()));
    KEEPS(bufferevent_pair_new(base, 0, pair));
    KEEPS((bufferevent_setcb(pair[0], NULL, NULL, NULL, NULL), 0));
    http = evhttp_new(base);
    KEEPS(evhttp_set_cb(http, "/", on_request, NULL));
    KEEPS(evhttp_del_cb(http, "/"));
    KEEPS((evhttp_set_gencb(http, on_request, NULL), 0));
    KEEPS((evhttp_set_bevcb(http, on_buffer, NULL), 0));
    connection = evhttp_connection_base_new(base, NULL, "127.0.0.1", 1);
    KEEPS((evhttp_connection_set_closecb(connection, on_close, NULL), 0));
    KEEPS(request = evhttp_request_new(on_request, NULL));
    KEEPS((evhttp_request_set_header_cb(request, on_head), 0));
    KEEPS((evhttp_request_set_chunked_cb(request, on_request), 0));
    KEEPS((evhttp_request_set_error_cb(request, on_error), 0));
    KEEPS((evhttp_request_set_on_complete_cb(request, on_request, NULL), 0));
    KEEPS((evhttp_request_free(request), request = evhttp_request_new(on_request, NULL)));
    evhttp_request_free(request);
    dns = evdns_base_new(base, 0);
    KEEPS(evdns_base_resolve_ipv4(dns, "127.0.0.1", DNS_QUERY_NO_SEARCH, on_answer, NULL));
    event_base_loop(base, EVLOOP_NONBLOCK);
    evdns_base_free(dns, 0);
    errno = 0;
    evhttp_connection_free(connection);
    evhttp_free(http);
    evbuffer_free(buffer);
    bufferevent_free(pair[0]);
    bufferevent_free(pair[1]);
    event_base_free(base);
    KEEPS(g_idle_add(on_idle, NULL));
    for (int i = 0; i < 3; i++) {
        errno = 0;
        g_main_context_iteration(NULL, FALSE);
    }
    KEEPS((g_async_queue_push(queue, &soon), 0));
    KEEPS(g_async_queue_try_pop(queue));
    g_async_queue_unref(queue);
    return 0;
}
