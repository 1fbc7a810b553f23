// libevent bufferevents and listeners: callbacks run in the context of the call that set them.
// libs: libevent
// usage: libevent_buffer MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct event_base *base;
static long saw[16], calls;

static void on_read(struct bufferevent *buffer, void *arg)
{
    evbuffer_drain(bufferevent_get_input(buffer), 100);
    saw[++calls] = current();
    set_current(current() + 1000);
}

static void on_write(struct bufferevent *buffer, void *arg)
{
    saw[++calls] = current();
}

static void on_end(struct bufferevent *buffer, short what, void *arg)
{
    saw[++calls] = current();
    bufferevent_free(buffer);
    *(long *)arg = 1;
}

static void pair(struct bufferevent **one, struct bufferevent **other)
{
    evutil_socket_t ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    evutil_make_socket_nonblocking(ends[0]);
    evutil_make_socket_nonblocking(ends[1]);
    *one = bufferevent_socket_new(base, ends[0], BEV_OPT_CLOSE_ON_FREE);
    *other = bufferevent_socket_new(base, ends[1], BEV_OPT_CLOSE_ON_FREE);
}

static void loop(void)
{
    set_current(9);
    for (int i = 0; i < 5; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    expect("the loop's thread has", current(), 9);
}

/* Reading keeps what it sets; the last callback frees the bufferevent. */
static void mode_buffer(void)
{
    struct bufferevent *one, *other;
    bufferevent_data_cb read, write;
    bufferevent_event_cb event;
    void *arg;
    long is_freed = 0;
    pair(&one, &other);
    set_current(101);
    bufferevent_setcb(one, on_read, NULL, on_end, &is_freed);
    bufferevent_enable(one, EV_READ);
    bufferevent_getcb(one, &read, &write, &event, &arg);
    expect("getcb", read == on_read && write == NULL && event == on_end && arg == &is_freed, 1);
    for (int i = 0; i < 2; i++) {
        bufferevent_write(other, "text", 4);
        loop();
    }
    expect("reads", calls, 2);
    expect("first read sees", saw[1], 101);
    expect("second read sees", saw[2], 1101);
    set_current(103);
    bufferevent_setcb(one, on_read, on_write, on_end, &is_freed);
    bufferevent_write(one, "text", 4);
    loop();
    expect("write sees", saw[3], 103);
    bufferevent_free(other);
    loop();
    expect("end sees", saw[4], 103);
    expect("freed", is_freed, 1);
}

/* Set to nothing, and freed with callbacks set. */
static void mode_unset(void)
{
    struct bufferevent *one, *other;
    long is_freed = 0;
    pair(&one, &other);
    set_current(101);
    bufferevent_setcb(one, on_read, on_write, on_end, &is_freed);
    bufferevent_setcb(one, NULL, NULL, NULL, NULL);
    bufferevent_setcb(other, on_read, NULL, NULL, NULL);
    bufferevent_enable(other, EV_READ);
    bufferevent_write(one, "text", 4);
    loop();
    expect("read sees", saw[1], 101);
    bufferevent_free(one);
    bufferevent_free(other);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length,
                      void *arg)
{
    saw[++calls] = current();
    expect("argument", *(long *)arg, 5);
    set_current(7000);
    close(fd);
}

static void on_other_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length,
                            void *arg)
{
    saw[++calls] = current();
    expect("argument", *(long *)arg, 6);
    close(fd);
    evconnlistener_free(listener);
}

static void on_accept_error(struct evconnlistener *listener, void *arg)
{
}

static void mode_listener(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    long five = 5, six = 6;
    set_current(55);
    printf("refused: %d\n", evconnlistener_new_bind(base, on_accept, &five, 0, 4, (struct sockaddr *)&address, 3) != NULL);
    set_current(101);
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, on_accept, &five, LEV_OPT_CLOSE_ON_FREE, 4, (struct sockaddr *)&address, sizeof(address));
    evconnlistener_set_error_cb(listener, on_accept_error);
    getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length);
    for (int i = 0; i < 2; i++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(client, (struct sockaddr *)&address, sizeof(address)))
            abort();
        loop();
        close(client);
        if (i == 0) {
            set_current(102);
            evconnlistener_set_cb(listener, on_other_accept, &six);
        }
    }
    expect("first sees", saw[1], 101);
    expect("second sees", saw[2], 102);
}

/* ---- what libevent takes over ---- */

static enum bufferevent_filter_result on_filter(struct evbuffer *from, struct evbuffer *to, ev_ssize_t limit,
                                                enum bufferevent_flush_mode mode, void *arg)
{
    saw[++calls] = current();
    set_current(current() + 1000);
    *(long *)arg += 1;
    evbuffer_add_buffer(to, from);
    return BEV_OK;
}

static void on_free(void *arg)
{
    *(long *)arg += 100;
}

/* Two filters, in both directions; the callbacks of what is filtered are libevent's then. */
static void mode_filter(void)
{
    struct bufferevent *one, *other;
    long filtered = 0, is_freed = 0;
    pair(&one, &other);
    set_current(55);
    bufferevent_setcb(one, on_read, on_write, on_end, &is_freed);
    set_current(56);
    expect("refused", bufferevent_filter_new(NULL, on_filter, NULL, 0, on_free, &filtered) == NULL, 1);
    set_current(101);
    struct bufferevent *first = bufferevent_filter_new(one, on_filter, on_filter, BEV_OPT_CLOSE_ON_FREE, on_free, &filtered);
    set_current(102);
    struct bufferevent *second = bufferevent_filter_new(other, on_filter, NULL, BEV_OPT_CLOSE_ON_FREE, NULL, &filtered);
    bufferevent_enable(first, EV_READ | EV_WRITE);
    bufferevent_enable(second, EV_READ | EV_WRITE);
    set_current(9);
    for (int i = 0; i < 2; i++) {
        bufferevent_write(first, "text", 4);
        loop();
    }
    bufferevent_write(second, "text", 4);
    loop();
    long out = 0, in = 0;
    for (int i = 1; i <= calls; i++) {
        out += saw[i] % 1000 == 101;
        in += saw[i] % 1000 == 102;
    }
    expect("calls", filtered >= 5, 1);
    expect("all see their own", out + in == calls && out >= 3 && in >= 2, 1);
    expect("keeps", saw[1] == 101 && calls > 2, 1);
    filtered = 0;
    bufferevent_free(first);
    bufferevent_free(second);
    loop();
    expect("freed", filtered, 100);
}

static void on_no_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *address, int length,
                         void *arg)
{
    expect("a callback that was replaced", 1, 0);
}

static void on_request(struct evhttp_request *request, void *arg)
{
    saw[++calls] = current();
    /* The program takes the connection's buffer over; libevent frees it. */
    set_current(103);
    struct bufferevent *taken = evhttp_connection_get_bufferevent(evhttp_request_get_connection(request));
    bufferevent_setcb(taken, on_read, NULL, NULL, NULL);
    bufferevent_enable(taken, EV_READ);
}

/* A listener and the buffer of a connection that change hands. */
static void mode_taken(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    set_current(101);
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, on_no_accept, NULL, LEV_OPT_CLOSE_ON_FREE, 4, (struct sockaddr *)&address, sizeof(address));
    evconnlistener_set_error_cb(listener, on_accept_error);
    getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length);
    struct evhttp *http = evhttp_new(base);
    evhttp_bind_listener(http, listener);
    set_current(102);
    evhttp_set_gencb(http, on_request, NULL);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&address, sizeof(address)) || write(client, "GET / HTTP/1.1\r\n\r\n", 18) != 18)
        abort();
    for (int i = 0; i < 5000 && calls < 1; i++) {
        loop();
        sleep_ms(1);
    }
    expect("request sees", saw[1], 102);
    if (write(client, "text", 4) != 4)
        abort();
    for (int i = 0; i < 5000 && calls < 2; i++) {
        loop();
        sleep_ms(1);
    }
    expect("read sees", saw[2], 103);
    evhttp_free(http);
    close(client);
}

/* A listener that gets its callback later. */
static void mode_late(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    long six = 6;
    set_current(55);
    struct evconnlistener *listener =
        evconnlistener_new_bind(base, NULL, NULL, LEV_OPT_CLOSE_ON_FREE, 4, (struct sockaddr *)&address, sizeof(address));
    evconnlistener_set_error_cb(listener, on_accept_error);
    getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&address, &length);
    set_current(101);
    evconnlistener_set_cb(listener, on_other_accept, &six);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&address, sizeof(address)))
        abort();
    loop();
    close(client);
    expect("sees", saw[1], 101);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"buffer", mode_buffer}, {"unset", mode_unset}, {"listener", mode_listener},
             {"filter", mode_filter}, {"taken", mode_taken}, {"late", mode_late}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    base = event_base_new();
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            event_base_free(base);
            return verdict();
        }
    return 2;
}
