// libuv: callbacks that come when a handle is closed already, and sends in between.
// libs: libuv
// usage: uv_ways_out MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <uv.h>

enum { SENDS = 20000 };

static uv_loop_t *loop;
static int right, wrong;

static void see(long value)
{
    if (current() == value)
        right++;
    else
        wrong++;
}

/* ---- uv_async_send ---- */

static uv_async_t async;
static volatile int is_last;

static void on_async(uv_async_t *handle)
{
    see(42);
    if (is_last && !uv_is_closing((uv_handle_t *)handle))
        uv_close((uv_handle_t *)handle, NULL);
}

/* Workers commonly block signals: that makes no signal handler of them. */
static void *send_blocked(void *unused)
{
    sigset_t set;

    sigfillset(&set);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    set_current(42);
    is_last = 1;
    uv_async_send(&async);
    return unused;
}

/* Every second send falls into the callback of the one before. */
static void *send_often(void *unused)
{
    unsigned seed = 7;

    set_current(42);
    for (int i = 0; i < SENDS; i++) {
        uv_async_send(&async);
        for (volatile int k = rand_r(&seed) % 400; k > 0; k--)
            ;
        uv_async_send(&async);
        if (i % 8 == 0)
            usleep(1);
    }
    is_last = 1;
    uv_async_send(&async);
    return unused;
}

static void run_async(void *(*sender)(void *))
{
    pthread_t thread;

    uv_async_init(loop, &async, on_async);
    pthread_create(&thread, NULL, sender, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    pthread_join(thread, NULL);
}

static void blocked(void)
{
    run_async(send_blocked);
}

static void often(void)
{
    run_async(send_often);
}

/* ---- a callback after uv_close ---- */

static uv_udp_t receiver, sender;
static char memory[20 * 65536];
static int closes;

static void on_close(uv_handle_t *handle)
{
    see(7);
    closes++;
    memset(handle, 0xdd, uv_handle_size(handle->type));
}

static void close_in_another_context(void *handle)
{
    set_current(7);
    uv_close(handle, on_close);
    set_current(42);
}

static void alloc_nothing(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    (void)size;
    see(42);
    *buffer = uv_buf_init(NULL, 0);
    close_in_another_context(handle);
}

static void alloc_much(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    (void)handle, (void)size;
    see(42);
    *buffer = uv_buf_init(memory, sizeof memory);
}

static void on_receive(uv_udp_t *udp, ssize_t count, const uv_buf_t *buffer, const struct sockaddr *from,
                       unsigned flags)
{
    (void)buffer, (void)from, (void)flags;
    see(42);
    if (count > 0 && !uv_is_closing((uv_handle_t *)udp))
        close_in_another_context(udp);
    if (!uv_is_closing((uv_handle_t *)&sender))
        uv_close((uv_handle_t *)&sender, NULL);
}

static void datagram(unsigned flags, uv_alloc_cb alloc)
{
    struct sockaddr_in address;
    int length = sizeof address;
    uv_buf_t packet = uv_buf_init("PING", 4);

    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_udp_init_ex(loop, &receiver, AF_INET | flags);
    uv_udp_bind(&receiver, (const struct sockaddr *)&address, 0);
    uv_udp_getsockname(&receiver, (struct sockaddr *)&address, &length);
    set_current(42);
    uv_udp_recv_start(&receiver, alloc, on_receive);
    set_current(9);
    uv_udp_init(loop, &sender);
    uv_udp_try_send(&sender, &packet, 1, (const struct sockaddr *)&address);
    uv_run(loop, UV_RUN_DEFAULT);
}

static void closed_in_alloc(void)
{
    datagram(0, alloc_nothing);
}

static void closed_in_receive(void)
{
    datagram(UV_UDP_RECVMMSG, alloc_much);
}

static const struct {
    const char *name;
    void (*run)(void);
    int least;
} modes[] = {
    {"blocked", blocked, 1},
    {"often", often, 100},
    {"closed-in-alloc", closed_in_alloc, 3},
    {"closed-in-receive", closed_in_receive, 4},
};

int main(int argc, char **argv)
{
    loop = uv_default_loop();
    carrier_choose(argc > 2 ? argv[2] : NULL);
    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        if (argc > 1 && !strcmp(argv[1], modes[i].name)) {
            modes[i].run();
            puts(wrong || right < modes[i].least ? "WRONG" : "RIGHT");
            return wrong || right < modes[i].least;
        }
    }
    return 2;
}
