// libevent's HTTP, server and client: callbacks run in the context of the call that set them.
// libs: libevent
// usage: libevent_http MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <netinet/in.h>
#include <sys/socket.h>

static struct event_base *base;
static struct evhttp *http;
static ev_uint16_t port;
static long saw[64], calls, one = 1, two = 2;
static int is_over;

static void note(void)
{
    if (calls < 63)
        saw[++calls] = current();
}

static void run_until_over(void)
{
    struct timeval limit = {40, 0}; /* for the whole program: it stays */
    set_current(9);
    event_base_loopexit(base, &limit);
    while (!is_over && !event_base_got_exit(base))
        event_base_loop(base, EVLOOP_ONCE);
    expect("over", is_over, 1);
    is_over = 0;
    for (int i = 0; i < 3; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    expect("the loop's thread has", current(), 9);
}

static void serve(void)
{
    http = evhttp_new(base);
    struct evhttp_bound_socket *bound = evhttp_bind_socket_with_handle(http, "127.0.0.1", 0);
    struct sockaddr_in address;
    socklen_t length = sizeof(address);
    getsockname(evhttp_bound_socket_get_fd(bound), (struct sockaddr *)&address, &length);
    port = ntohs(address.sin_port);
}

static struct evhttp_connection *dial(void)
{
    return evhttp_connection_base_new(base, NULL, "127.0.0.1", port);
}

/* ---- what the tests ask with when only the server is looked at ---- */

static void on_plain_answer(struct evhttp_request *request, void *arg)
{
    is_over = 1;
}

static void fetch(const char *path)
{
    struct evhttp_connection *connection = dial();
    struct evhttp_request *request = evhttp_request_new(on_plain_answer, NULL);
    evhttp_add_header(evhttp_request_get_output_headers(request), "Connection", "close");
    set_current(55);
    evhttp_make_request(connection, request, EVHTTP_REQ_GET, path);
    run_until_over();
    evhttp_connection_free(connection);
}

/* ---- servers ---- */

static void on_path(struct evhttp_request *request, void *arg)
{
    note();
    set_current(current() + *(long *)arg * 1000);
    evhttp_send_reply(request, 200, "OK", NULL);
}

static void on_path_once(struct evhttp_request *request, void *arg)
{
    note();
    expect("removed", evhttp_del_cb(http, "/once"), 0);
    evhttp_send_reply(request, 200, "OK", NULL);
}

static struct bufferevent *on_connection(struct event_base *its_base, void *arg)
{
    note();
    expect("argument", arg == &two, 1);
    return bufferevent_socket_new(its_base, -1, BEV_OPT_CLOSE_ON_FREE);
}

/* Paths, all others, new connections: replaced, removed, refused, kept. */
static void mode_server(void)
{
    serve();
    set_current(101);
    expect("set", evhttp_set_cb(http, "/a", on_path, &one), 0);
    set_current(102);
    expect("refused", evhttp_set_cb(http, "/a", on_path, &two), -1);
    expect("set", evhttp_set_cb(http, "/once", on_path_once, &two), 0);
    set_current(103);
    evhttp_set_gencb(http, on_path, &two);
    fetch("/a");
    fetch("/a");
    fetch("/other");
    expect("sees", saw[1], 101);
    expect("sees", saw[2], 1101);
    expect("sees", saw[3], 103);
    fetch("/once");
    expect("sees", saw[4], 102);
    fetch("/once");
    expect("sees", saw[5], 2103);
    expect("removed", evhttp_del_cb(http, "/a"), 0);
    expect("not there", evhttp_del_cb(http, "/a"), -1);
    set_current(104);
    evhttp_set_gencb(http, on_path, &one);
    fetch("/a");
    expect("sees", saw[6], 104);
    set_current(105);
    evhttp_set_bevcb(http, on_connection, &two);
    fetch("/a");
    expect("connection sees", saw[7], 105);
    expect("sees", saw[8], 1104);
    evhttp_set_bevcb(http, NULL, NULL);
    evhttp_set_gencb(http, NULL, NULL);
    fetch("/a"); /* 404 */
    expect("calls", calls, 8);
    set_current(106); /* goes with the server */
    evhttp_set_cb(http, "/b", on_path, &one);
    evhttp_set_gencb(http, on_path, &one);
    evhttp_set_bevcb(http, on_connection, &one);
}

/* ---- an answer in pieces ---- */

static struct evhttp_request *answering;
static long closed;

static void on_done(struct evhttp_request *request, void *arg)
{
    note();
    expect("argument", arg == &two, 1);
}

static void on_closed(struct evhttp_connection *connection, void *arg)
{
    closed = current();
    expect("argument", *(long *)arg, 1);
}

static void on_sent(struct evhttp_connection *connection, void *arg)
{
    struct evbuffer *piece = evbuffer_new();
    long number = ++*(long *)arg;
    note();
    if (number < 3) {
        set_current(200 + number);
        evbuffer_add(piece, "piece", 5);
        evhttp_send_reply_chunk_with_cb(answering, piece, on_sent, arg);
        /* Nothing to send: the callback of before stays. */
        set_current(299);
        evhttp_send_reply_chunk_with_cb(answering, piece, on_sent, arg);
    } else {
        evbuffer_add(piece, "last", 4);
        evhttp_send_reply_chunk(answering, piece);
        evhttp_send_reply_end(answering);
    }
    evbuffer_free(piece);
}

static long pieces;

static void on_long(struct evhttp_request *request, void *arg)
{
    struct evbuffer *piece = evbuffer_new();
    note();
    answering = request;
    pieces = 0;
    set_current(150);
    evhttp_request_set_on_complete_cb(request, on_path, &one);
    evhttp_request_set_on_complete_cb(request, on_done, &two);
    set_current(160);
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_closed, &two);
    set_current(161);
    evhttp_connection_set_closecb(evhttp_request_get_connection(request), on_closed, &one);
    evhttp_send_reply_start(request, 200, "OK");
    evbuffer_add(piece, "piece", 5);
    set_current(200);
    evhttp_send_reply_chunk_with_cb(request, piece, on_sent, &pieces);
    evbuffer_free(piece);
}

static void mode_pieces(void)
{
    serve();
    set_current(101);
    evhttp_set_cb(http, "/long", on_long, NULL);
    for (int i = 0; i < 2; i++) {
        calls = 0;
        closed = 0;
        fetch("/long");
        expect("pieces", pieces, 3);
        expect("sees", saw[1], i ? 200 : 101); /* what it set itself */
        expect("first piece sees", saw[2], 200);
        expect("second piece sees", saw[3], 201);
        expect("third piece sees", saw[4], 202);
        expect("the end sees", saw[5], 150);
        expect("closing sees", closed, 161);
    }
}

/* ---- clients ---- */

static long answers, failures;

static void on_answer(struct evhttp_request *request, void *arg)
{
    note();
    answers++;
    expect("argument", *(long *)arg, 1);
    expect("code", request ? evhttp_request_get_response_code(request) : 0, 200);
    is_over = 1;
}

static int on_head(struct evhttp_request *request, void *arg)
{
    note();
    expect("argument", *(long *)arg, 1);
    return 0;
}

static void on_piece(struct evhttp_request *request, void *arg)
{
    note();
    expect("argument", *(long *)arg, 1);
    set_current(current() + 1000);
}

static void on_error(enum evhttp_request_error error, void *arg)
{
    note();
    failures++;
    expect("argument", *(long *)arg, 1);
}

static void on_failed_answer(struct evhttp_request *request, void *arg)
{
    note();
    answers++;
    expect("argument", *(long *)arg, 1);
    expect("request", request == NULL, 1);
    is_over = 1;
}

static struct evhttp_request *ask(void (*answer)(struct evhttp_request *, void *), long value)
{
    set_current(value + 90); /* what was current when it was made does not matter */
    struct evhttp_request *request = evhttp_request_new(answer, &one);
    set_current(value + 1);
    evhttp_request_set_header_cb(request, on_head);
    set_current(value + 2);
    evhttp_request_set_chunked_cb(request, on_piece);
    set_current(value + 3);
    evhttp_request_set_error_cb(request, on_error);
    set_current(value);
    return request;
}

/* The whole answer: head, three pieces, the last piece, the end; twice on one connection. */
static void mode_client(void)
{
    serve();
    set_current(9);
    evhttp_set_cb(http, "/long", on_long, NULL);
    struct evhttp_connection *connection = dial();
    for (int i = 0; i < 2; i++) {
        struct evhttp_request *request = ask(on_answer, 301);
        evhttp_make_request(connection, request, EVHTTP_REQ_GET, "/long");
        run_until_over();
    }
    expect("answers", answers, 2);
    long head = 0, piece = 0, answer = 0;
    for (long i = 1; i <= calls; i++) {
        head += saw[i] == 302;
        answer += saw[i] == 301;
        piece += saw[i] % 1000 == 303;
    }
    expect("heads", head, 2);
    expect("answers", answer, 2);
    expect("pieces", piece >= 2, 1);
    evhttp_connection_free(connection);
}

static void on_break(struct evhttp_request *request, void *arg)
{
    evhttp_connection_free(evhttp_request_get_connection(request));
}

/* The server goes away before it answers; nobody listens; the callback unset; one that the program owns. */
static void mode_fails(void)
{
    serve();
    evhttp_set_cb(http, "/break", on_break, NULL);
    struct evhttp_connection *connection = dial();
    evhttp_make_request(connection, ask(on_failed_answer, 401), EVHTTP_REQ_GET, "/break");
    run_until_over();
    expect("error sees", saw[1], 404);
    expect("answer sees", saw[2], 401);
    expect("failures", failures, 1);
    struct evhttp_request *owned = ask(on_failed_answer, 501);
    evhttp_request_own(owned);
    evhttp_request_set_error_cb(owned, NULL);
    evhttp_make_request(connection, owned, EVHTTP_REQ_GET, "/break");
    run_until_over();
    expect("answer sees", saw[3], 501);
    expect("answers", answers, 2);
    evhttp_request_free(owned);
    evhttp_connection_free(connection);
    ev_uint16_t here = port;
    evhttp_free(http);
    http = NULL;
    port = here;
    connection = dial();
    evhttp_make_request(connection, ask(on_plain_answer, 601), EVHTTP_REQ_GET, "/");
    run_until_over();
    evhttp_connection_free(connection);
}

static void on_never(struct evhttp_request *request, void *arg)
{
    expect("an answer that must not come", 1, 0);
}

static void on_hold(struct evhttp_request *request, void *arg)
{
    answering = request;
    is_over = 1;
}

/* Cancelled while it waits for its answer, and in the queue; requests that go with their connection; never asked. */
static void mode_dropped(void)
{
    serve();
    evhttp_set_cb(http, "/hold", on_hold, NULL);
    struct evhttp_connection *connection = dial();
    struct evhttp_request *first = ask(on_never, 401);
    evhttp_make_request(connection, first, EVHTTP_REQ_GET, "/hold");
    struct evhttp_request *queued = ask(on_never, 501);
    evhttp_make_request(connection, queued, EVHTTP_REQ_GET, "/hold");
    for (int i = 0; i < 20; i++)
        evhttp_make_request(connection, ask(on_never, 601), EVHTTP_REQ_GET, "/hold");
    run_until_over();
    evhttp_cancel_request(queued);
    expect("calls", calls, 0);
    set_current(9);
    evhttp_cancel_request(first);
    expect("error sees", saw[1], 404);
    expect("calls", calls, 1);
    evhttp_connection_free(connection);
    evhttp_request_free(ask(on_never, 701));
    set_current(801);
    struct evhttp_connection *closing = dial();
    evhttp_connection_set_closecb(closing, on_closed, &one);
    evhttp_connection_free(closing);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"server", mode_server}, {"pieces", mode_pieces}, {"client", mode_client},
             {"fails", mode_fails},   {"dropped", mode_dropped}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    base = event_base_new();
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            if (http)
                evhttp_free(http);
            event_base_free(base);
            return verdict();
        }
    return 2;
}
