// nng: the callback of an aio sees the values of whoever started its last operation.
// needs: nng/nng.h
// link: -lnng
// usage: nng MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <arpa/inet.h>
#include <nng/nng.h>
#include <nng/protocol/pair0/pair.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <nng/supplemental/http/http.h>
#include <nng/supplemental/util/platform.h>

struct op {
    nng_aio *aio;
    long saw[8];
    volatile int calls;
    int left; /* so often the callback starts the next one itself */
};

static long values = 100;

static void fine(int error)
{
    if (error) {
        fprintf(stderr, "nng: %s\n", nng_strerror(error));
        abort();
    }
}

static void on_done(void *arg)
{
    struct op *op = arg;
    long saw = current();
    op->saw[op->calls++ % 8] = saw;
    if (op->left-- > 0) {
        set_current(saw + 1000);
        nng_sleep_aio(0, op->aio);
        return;
    }
    set_current(7000); /* nobody else's */
}

static void make(struct op *op)
{
    *op = (struct op){.aio = NULL};
    fine(nng_aio_alloc(&op->aio, on_done, op));
}

/* DO, in a request of its own. */
#define START(DO)              \
    do {                       \
        set_current(++values); \
        DO;                    \
        set_current(9);        \
    } while (0)

/* What the callback of the operation that was started in the request `value` saw. */
static void done(struct op *op, long value)
{
    nng_aio_wait(op->aio);
    expect("calls", op->calls, 1);
    expect("callback sees", op->saw[0], value);
    expect("the main thread has", current(), 9);
    op->calls = 0;
}

#define DONE(op, DO)      \
    do {                  \
        START(DO);        \
        done(op, values); \
    } while (0)

static void give(struct op *op, void *bytes, size_t size)
{
    nng_iov iov = {bytes, size};
    fine(nng_aio_set_iov(op->aio, 1, &iov));
}

static void mode_timer(void)
{
    struct op op;
    set_current(5); /* what the workers of nng must not keep: they are started here */
    make(&op);
    DONE(&op, nng_sleep_aio(1, op.aio));
    DONE(&op, nng_sleep_aio(0, op.aio));
    set_current(0);
    nng_sleep_aio(0, op.aio);
    nng_aio_wait(op.aio);
    expect("nothing was handed over", op.saw[0], 0);
    nng_aio_free(op.aio);
}

/* Each operation that a callback starts goes on from what that callback had. */
static void mode_chain(void)
{
    struct op op;
    make(&op);
    op.left = 3;
    START(nng_sleep_aio(0, op.aio));
    while (op.calls < 4)
        sleep_ms(1);
    nng_aio_wait(op.aio);
    for (int i = 0; i < 4; i++)
        expect("link of the chain sees", op.saw[i], values + i * 1000);
    nng_aio_free(op.aio);
}

static void mode_sockets(void)
{
    struct op send, receive;
    nng_socket one, other;
    nng_msg *message;
    make(&send);
    make(&receive);
    fine(nng_pair0_open(&one));
    fine(nng_pair0_open(&other));
    fine(nng_listen(one, "inproc://carried", NULL, 0));
    fine(nng_dial(other, "inproc://carried", NULL, 0));
    START(nng_recv_aio(one, receive.aio));
    long receiving = values;
    fine(nng_msg_alloc(&message, 8));
    nng_aio_set_msg(send.aio, message);
    DONE(&send, nng_send_aio(other, send.aio));
    done(&receive, receiving);
    nng_msg_free(nng_aio_get_msg(receive.aio));
    nng_close(one);
    nng_close(other);
    nng_aio_free(send.aio);
    nng_aio_free(receive.aio);
}

static void mode_contexts(void)
{
    struct op ask, answer;
    nng_socket asking, answering;
    nng_ctx asker, answerer;
    nng_msg *message;
    make(&ask);
    make(&answer);
    fine(nng_rep0_open(&answering));
    fine(nng_req0_open(&asking));
    fine(nng_listen(answering, "inproc://asked", NULL, 0));
    fine(nng_dial(asking, "inproc://asked", NULL, 0));
    fine(nng_ctx_open(&asker, asking));
    fine(nng_ctx_open(&answerer, answering));
    fine(nng_msg_alloc(&message, 8));
    nng_aio_set_msg(ask.aio, message);
    START(nng_ctx_recv(answerer, answer.aio));
    long receiving = values;
    DONE(&ask, nng_ctx_send(asker, ask.aio));
    done(&answer, receiving);
    START(nng_ctx_recv(asker, ask.aio));
    receiving = values;
    nng_aio_set_msg(answer.aio, nng_aio_get_msg(answer.aio));
    DONE(&answer, nng_ctx_send(answerer, answer.aio));
    done(&ask, receiving);
    nng_msg_free(nng_aio_get_msg(ask.aio));
    nng_close(asking);
    nng_close(answering);
    nng_aio_free(ask.aio);
    nng_aio_free(answer.aio);
}

static void mode_streams(void)
{
    struct op dial, accept;
    nng_stream_listener *listener;
    nng_stream_dialer *dialer;
    char url[64], bytes[8] = "", got[8];
    int port;
    make(&dial);
    make(&accept);
    fine(nng_stream_listener_alloc(&listener, "tcp://127.0.0.1:0"));
    fine(nng_stream_listener_listen(listener));
    fine(nng_stream_listener_get_int(listener, NNG_OPT_TCP_BOUND_PORT, &port));
    snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", port);
    fine(nng_stream_dialer_alloc(&dialer, url));
    START(nng_stream_listener_accept(listener, accept.aio));
    long accepting = values;
    DONE(&dial, nng_stream_dialer_dial(dialer, dial.aio));
    done(&accept, accepting);
    nng_stream *near = nng_aio_get_output(dial.aio, 0), *far = nng_aio_get_output(accept.aio, 0);
    give(&accept, got, sizeof(got));
    give(&dial, bytes, sizeof(bytes));
    START(nng_stream_recv(far, accept.aio));
    long receiving = values;
    DONE(&dial, nng_stream_send(near, dial.aio));
    done(&accept, receiving);
    nng_stream_free(near);
    nng_stream_free(far);
    nng_stream_dialer_free(dialer);
    nng_stream_listener_free(listener);
    nng_aio_free(dial.aio);
    nng_aio_free(accept.aio);
}

static void cancelled(struct op *op)
{
    long value = values;
    nng_aio_cancel(op->aio);
    done(op, value);
}

static void mode_http(void)
{
    struct op op;
    nng_http_server *server;
    nng_http_handler *handler;
    nng_http_client *client;
    nng_http_conn *conn;
    nng_http_req *request;
    nng_http_res *answer;
    nng_sockaddr address;
    nng_url *url;
    char text[64], bytes[8] = "GET ";
    make(&op);
    fine(nng_url_parse(&url, "http://127.0.0.1:0/"));
    fine(nng_http_server_hold(&server, url));
    fine(nng_http_handler_alloc_static(&handler, "/", "there", 5, "text/plain"));
    fine(nng_http_server_add_handler(server, handler));
    fine(nng_http_server_start(server));
    fine(nng_http_server_get_addr(server, &address));
    nng_url_free(url);
    snprintf(text, sizeof(text), "http://127.0.0.1:%d/", ntohs(address.s_in.sa_port));
    fine(nng_url_parse(&url, text));
    fine(nng_http_client_alloc(&client, url));
    fine(nng_http_req_alloc(&request, url));
    fine(nng_http_res_alloc(&answer));

    DONE(&op, nng_http_client_transact(client, request, answer, op.aio));
    expect("status", nng_http_res_get_status(answer), 200);
    DONE(&op, nng_http_client_connect(client, op.aio));
    fine(nng_aio_result(op.aio));
    conn = nng_aio_get_output(op.aio, 0);
    DONE(&op, nng_http_conn_transact(conn, request, answer, op.aio));
    expect("status", nng_http_res_get_status(answer), 200);
    DONE(&op, nng_http_conn_write_req(conn, request, op.aio));
    DONE(&op, nng_http_conn_read_res(conn, answer, op.aio));
    expect("status", nng_http_res_get_status(answer), 200);
    give(&op, bytes, sizeof(bytes));
    DONE(&op, nng_http_conn_read(conn, op.aio)); /* its body */
    give(&op, bytes, 4);
    DONE(&op, nng_http_conn_write(conn, op.aio));
    give(&op, bytes, 4);
    DONE(&op, nng_http_conn_write_all(conn, op.aio));
    DONE(&op, nng_http_conn_write_res(conn, answer, op.aio));
    nng_http_conn_close(conn);

    DONE(&op, nng_http_client_connect(client, op.aio));
    conn = nng_aio_get_output(op.aio, 0);
    give(&op, bytes, sizeof(bytes));
    START(nng_http_conn_read_all(conn, op.aio));
    cancelled(&op);
    START(nng_http_conn_read_req(conn, request, op.aio));
    cancelled(&op);
    nng_http_conn_close(conn);

    nng_aio_free(op.aio);
    nng_http_res_free(answer);
    nng_http_req_free(request);
    nng_http_client_free(client);
    nng_http_server_stop(server);
    nng_http_server_release(server);
    nng_url_free(url);
}

/* Cancelled, timed out, freed, stopped, handed to the reaper: each lets go of what it was started with. */
static void mode_ways_out(void)
{
    struct op op, freed, stopped, reaped[4];
    nng_socket socket;
    make(&op);
    nng_aio_set_timeout(op.aio, 1);
    fine(nng_pair0_open(&socket));
    DONE(&op, nng_recv_aio(socket, op.aio));
    expect("timed out", nng_aio_result(op.aio), NNG_ETIMEDOUT);
    nng_aio_set_timeout(op.aio, NNG_DURATION_INFINITE);
    START(nng_recv_aio(socket, op.aio));
    nng_close(socket);
    done(&op, values);
    START(nng_sleep_aio(100000, op.aio));
    cancelled(&op);
    START(nng_sleep_aio(100000, op.aio));
    nng_aio_abort(op.aio, NNG_EINTERNAL);
    done(&op, values);
    nng_aio_free(op.aio);

    make(&freed);
    START(nng_sleep_aio(100000, freed.aio));
    nng_aio_free(freed.aio);
    expect("callback of what is freed sees", freed.saw[0], values);
    nng_aio_free(NULL);

    make(&stopped);
    START(nng_sleep_aio(100000, stopped.aio));
    nng_aio_stop(stopped.aio);
    expect("callback of what is stopped sees", stopped.saw[0], values);
    START(nng_sleep_aio(0, stopped.aio)); /* none begins any more */
    nng_aio_free(stopped.aio);
    /* Before nng 1.5 it fails, and says so. */
    expect("calls", stopped.calls, NNG_MAJOR_VERSION == 1 && NNG_MINOR_VERSION < 5 ? 2 : 1);

    for (int i = 0; i < 4; i++) {
        make(&reaped[i]);
        START(nng_sleep_aio(100000, reaped[i].aio));
        nng_aio_reap(reaped[i].aio);
        while (!reaped[i].calls)
            sleep_ms(1);
        expect("callback of what is reaped sees", reaped[i].saw[0], values);
        sleep_ms(2); /* so that its memory may be the next one's */
    }
}

static void finish(void *arg)
{
    sleep_ms(2);
    nng_aio_finish(((struct op *)arg)->aio, 0);
}

/* An operation of the program's own, finished by a thread of its own, which nng started for it. */
static void mode_own(void)
{
    struct op op;
    nng_thread *thread;
    make(&op);
    START(expect("begun", nng_aio_begin(op.aio), true));
    fine(nng_thread_create(&thread, finish, &op));
    done(&op, values);
    nng_thread_destroy(thread);
    nng_aio_free(op.aio);
}

static long thread_saw;

static void look(void *arg)
{
    thread_saw = current();
    set_current(7000);
}

static void mode_thread(void)
{
    nng_thread *thread;
    START(fine(nng_thread_create(&thread, look, NULL)));
    nng_thread_destroy(thread);
    expect("thread sees", thread_saw, values);
}

/* Nothing to carry: no callback, and the library's own use of what it exports. */
static void mode_blocking(void)
{
    nng_socket one, other;
    nng_aio *aio;
    size_t size = 8;
    char bytes[8] = "", address[64];
    snprintf(address, sizeof(address), "ipc:///tmp/baton-nng-%d", (int)getpid());
    fine(nng_pair0_open(&one));
    fine(nng_pair0_open(&other));
    fine(nng_listen(one, address, NULL, 0));
    fine(nng_dial(other, address, NULL, 0));
    fine(nng_send(other, bytes, 8, 0));
    fine(nng_recv(one, bytes, &size, 0));
    fine(nng_aio_alloc(&aio, NULL, NULL));
    START(nng_sleep_aio(1, aio));
    nng_aio_wait(aio);
    fine(nng_aio_result(aio));
    nng_aio_free(aio);
    nng_close(one);
    nng_close(other);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"timer", mode_timer},     {"chain", mode_chain}, {"sockets", mode_sockets},   {"contexts", mode_contexts},
             {"streams", mode_streams}, {"http", mode_http},   {"ways_out", mode_ways_out}, {"own", mode_own},
             {"thread", mode_thread},   {"blocking", mode_blocking}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            return verdict();
        }
    return 2;
}
