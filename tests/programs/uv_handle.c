// libuv handles: every callback runs in the context of the call that started it.
// libs: libuv
// usage: uv_handle MODE [CARRIER]; a mode is one promise, named in the table at the end
#define _GNU_SOURCE // posix_openpt
#include "carrier.h"
#include <fcntl.h>
#include <sys/socket.h>
#include <uv.h>

enum { MAX = 32 };

static uv_loop_t *loop;
static long saw[MAX], closed_saw[MAX], allocs, calls, starts;

/* A handle may be in any memory. */
static void *handle_new(size_t size)
{
    void *handle = malloc(size);
    memset(handle, 0xaa, size);
    return handle;
}

static void on_close(uv_handle_t *handle)
{
    closed_saw[(long)handle->data] = current();
    set_current(8000);
    memset(handle, 0xdd, uv_handle_size(handle->type));
    free(handle);
}

static void close_any(void *handle)
{
    set_current(current() + 100);
    uv_close(handle, on_close);
    set_current(6000);
}

/* Once, then closes the handle in a context of its own: what the callback saw and 100. */
static void note(void *handle)
{
    long number = (long)((uv_handle_t *)handle)->data;
    calls++;
    saw[number] = current();
    close_any(handle);
}

static void on_timer(uv_timer_t *handle)
{
    note(handle);
}

static void on_poll(uv_poll_t *handle, int status, int events)
{
    note(handle);
}

static void on_idle(uv_idle_t *handle)
{
    note(handle);
}

static void on_prepare(uv_prepare_t *handle)
{
    note(handle);
}

static void on_check(uv_check_t *handle)
{
    note(handle);
}

static void on_signal(uv_signal_t *handle, int number)
{
    note(handle);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    static char text[64];
    allocs += current() == 100 + (long)handle->data;
    *buffer = uv_buf_init(text, sizeof(text));
}

static void on_read(uv_stream_t *handle, ssize_t count, const uv_buf_t *buffer)
{
    note(handle);
}

static void on_recv(uv_udp_t *handle, ssize_t count, const uv_buf_t *buffer, const struct sockaddr *address,
                    unsigned flags)
{
    if (count > 0)
        note(handle);
}

static void on_connection(uv_stream_t *server, int status)
{
    note(server);
}

static void on_fs_event(uv_fs_event_t *handle, const char *name, int events, int status)
{
    if (!uv_is_closing((uv_handle_t *)handle))
        note(handle);
}

static void on_fs_poll(uv_fs_poll_t *handle, int status, const uv_stat_t *before, const uv_stat_t *after)
{
    note(handle);
}

static void on_async(uv_async_t *handle)
{
    note(handle);
}

static void on_exit_child(uv_process_t *handle, int64_t status, int number)
{
    note(handle);
}

static void run(void)
{
    set_current(9);
    uv_run(loop, UV_RUN_DEFAULT);
    expect("the loop's thread has", current(), 9);
}

static void *next(size_t size)
{
    uv_handle_t *handle = handle_new(size);
    set_current(100 + ++starts);
    return handle;
}

#define NEW(type, name, ...)                        \
    uv_##type##_t *name = next(sizeof(*name));      \
    uv_##type##_init(loop, name, ##__VA_ARGS__);    \
    name->data = (void *)starts

static void mode_ways(void)
{
    int ends[2], more[2];
    char path[] = "/tmp/baton-uv-XXXXXX", *arguments[] = {"/bin/true", NULL};
    struct sockaddr_in address;
    int length = sizeof(address), file = mkstemp(path);
    uv_process_options_t options = {.exit_cb = on_exit_child, .file = arguments[0], .args = arguments};
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) || socketpair(AF_UNIX, SOCK_STREAM, 0, more) ||
        write(ends[1], "x", 1) != 1 || write(more[1], "x", 1) != 1)
        abort();
    NEW(timer, once);
    uv_timer_start(once, on_timer, 1, 0);
    NEW(timer, repeating);
    uv_timer_start(repeating, on_timer, 1, 1);
    NEW(poll, poll, ends[0]);
    uv_poll_start(poll, UV_READABLE, on_poll);
    NEW(idle, idle);
    uv_idle_start(idle, on_idle);
    NEW(prepare, prepare);
    uv_prepare_start(prepare, on_prepare);
    NEW(check, check);
    uv_check_start(check, on_check);
    NEW(signal, usr1);
    uv_signal_start(usr1, on_signal, SIGUSR1);
    NEW(signal, hup);
    uv_signal_start_oneshot(hup, on_signal, SIGHUP);
    NEW(pipe, stream, 0);
    uv_pipe_open(stream, more[0]);
    uv_read_start((uv_stream_t *)stream, on_alloc, on_read);
    uv_ip4_addr("127.0.0.1", 0, &address);
    NEW(tcp, server);
    uv_tcp_bind(server, (struct sockaddr *)&address, 0);
    uv_listen((uv_stream_t *)server, 8, on_connection);
    uv_tcp_getsockname(server, (struct sockaddr *)&address, &length);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (struct sockaddr *)&address, sizeof(address)))
        abort();
    uv_ip4_addr("127.0.0.1", 0, &address);
    NEW(udp, udp);
    uv_udp_bind(udp, (struct sockaddr *)&address, 0);
    uv_udp_recv_start(udp, on_alloc, on_recv);
    uv_udp_getsockname(udp, (struct sockaddr *)&address, &length);
    int sender = socket(AF_INET, SOCK_DGRAM, 0);
    if (sendto(sender, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)) != 1)
        abort();
    NEW(fs_event, event);
    uv_fs_event_start(event, on_fs_event, path, 0);
    NEW(fs_poll, file_poll);
    uv_fs_poll_start(file_poll, on_fs_poll, path, 10);
    NEW(async, async, on_async);
    uv_async_send(async);
    uv_process_t *process = next(sizeof(*process));
    expect("spawned", uv_spawn(loop, process, &options), 0);
    process->data = (void *)starts;
    set_current(9);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGHUP);
    for (int i = 0; i < 3; i++)
        uv_run(loop, UV_RUN_NOWAIT);
    if (write(file, "text", 4) != 4)
        abort();
    for (int i = 0; i < 500 && uv_loop_alive(loop); i++) {
        /* The poll of the file sees a change only after its first look. */
        sleep_ms(10);
        if (write(file, "text", 4) != 4)
            abort();
        uv_run(loop, UV_RUN_NOWAIT);
    }
    run();
    unlink(path);
    expect("calls", calls, starts);
    for (int i = 1; i <= starts; i++) {
        expect("callback sees", saw[i], 100 + i);
        expect("close callback sees", closed_saw[i], 200 + i);
    }
    expect("alloc callbacks in context", allocs, 2);
}

static void on_shut(uv_shutdown_t *request, int status)
{
}

/* A connection of libuv's own with the other end outside. */
static uv_tcp_t *connected(long number)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof(address);
    int server = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(server, (struct sockaddr *)&address, sizeof(address)) || listen(server, 1) ||
        getsockname(server, (struct sockaddr *)&address, &length) ||
        connect(client, (struct sockaddr *)&address, length))
        abort();
    uv_tcp_t *tcp = handle_new(sizeof(*tcp));
    uv_tcp_init(loop, tcp);
    uv_tcp_open(tcp, client);
    tcp->data = (void *)number;
    close(server);
    return tcp;
}

/* A terminal, a socket to poll, connections that are reset. */
static void mode_rare(void)
{
    int ends[2], terminal = posix_openpt(O_RDWR | O_NOCTTY);
    uv_shutdown_t shutdown;
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal) || socketpair(AF_UNIX, SOCK_STREAM, 0, ends) ||
        write(ends[1], "x", 1) != 1)
        abort();
    int device = open(ptsname(terminal), O_RDWR | O_NOCTTY);
    if (device < 0 || write(terminal, "x\n", 2) != 2)
        abort();
    NEW(tty, tty, device, 1);
    uv_read_start((uv_stream_t *)tty, on_alloc, on_read);
    uv_poll_t *poll = next(sizeof(*poll));
    uv_poll_init_socket(loop, poll, ends[0]);
    poll->data = (void *)starts;
    uv_poll_start(poll, UV_READABLE, on_poll);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int length = sizeof(address), sender = socket(AF_INET, SOCK_DGRAM, 0);
    uv_udp_t *udp = next(sizeof(*udp));
    uv_udp_init_ex(loop, udp, AF_INET);
    udp->data = (void *)starts;
    uv_udp_bind(udp, (struct sockaddr *)&address, 0);
    uv_udp_getsockname(udp, (struct sockaddr *)&address, &length);
    if (sendto(sender, "x", 1, 0, (struct sockaddr *)&address, length) != 1)
        abort();
    uv_udp_recv_start(udp, on_alloc, on_recv);
    run();
    for (int i = 1; i <= 3; i++) {
        expect("callback sees", saw[i], 100 + i);
        expect("close callback sees", closed_saw[i], 200 + i);
    }
    expect("alloc callbacks in context", allocs, 2);
    uv_tcp_t *reset = connected(3), *half = connected(4), *silent = connected(5);
    set_current(303);
    expect("reset", uv_tcp_close_reset(reset, on_close), 0);
    set_current(304);
    uv_shutdown(&shutdown, (uv_stream_t *)half, on_shut);
    printf("reset while shutting down: %s\n", uv_err_name(uv_tcp_close_reset(half, on_close)));
    set_current(305);
    uv_close((uv_handle_t *)half, on_close);
    expect("reset without a callback", uv_tcp_close_reset(silent, NULL), 0);
    run();
    free(silent);
    expect("close callback sees", closed_saw[3], 303);
    expect("close callback sees", closed_saw[4], 305);
}

static void on_tick(uv_timer_t *handle)
{
    saw[++calls] = current();
    set_current(current() + 1000);
    if (calls == 3)
        uv_close((uv_handle_t *)handle, NULL);
}

/* What a callback sets is there when it runs the next time, and for nobody else. */
static void mode_keeps(void)
{
    uv_timer_t timer;
    uv_timer_init(loop, &timer);
    set_current(101);
    uv_timer_start(&timer, on_tick, 0, 1);
    set_current(9);
    while (uv_loop_alive(loop)) {
        uv_run(loop, UV_RUN_ONCE);
        expect("between ticks", current(), 9);
    }
    for (int i = 0; i < 3; i++)
        expect("tick sees", saw[i + 1], 101 + 1000 * i);
}

static void on_old_tick(uv_timer_t *handle)
{
    saw[++calls] = current();
    set_current(current() + 1000);
    if (calls == 6)
        uv_close((uv_handle_t *)handle, NULL);
}

/* Six ticks in 150 ms: told, not judged, because it depends on how old a context may become. */
static void mode_ages(void)
{
    uv_timer_t timer;
    uv_timer_init(loop, &timer);
    set_current(101);
    uv_timer_start(&timer, on_old_tick, 0, 30);
    set_current(9);
    while (uv_loop_alive(loop)) {
        uv_run(loop, UV_RUN_ONCE);
        expect("between ticks", current(), 9);
    }
    for (int i = 1; i <= 6; i++)
        printf("tick %d sees %ld\n", i, saw[i]);
}

static void on_restart(uv_timer_t *handle)
{
    saw[++calls] = current();
    if (calls == 1) {
        set_current(202);
        uv_timer_start(handle, on_restart, 0, 0); /* a one-shot timer starts itself */
    } else if (calls == 2) {
        set_current(203);
        uv_timer_start(handle, on_restart, 0, 1);
    } else if (calls == 3) {
        set_current(204);
        uv_timer_again(handle);
        set_current(6000);
    } else if (calls == 4) {
        uv_timer_stop(handle);
        set_current(205);
        uv_timer_again(handle);
    } else if (calls == 5) {
        uv_timer_set_repeat(handle, 0); /* this run is the last */
    }
}

static void mode_restart(void)
{
    static uv_timer_t timer;
    uv_timer_init(loop, &timer);
    set_current(201);
    uv_timer_start(&timer, on_restart, 0, 0);
    set_current(9);
    uv_run(loop, UV_RUN_DEFAULT);
    for (int i = 1; i <= 5; i++)
        expect("run sees", saw[i], 200 + i);
    expect("runs", calls >= 5, 1);
    /* Stopped before it fires; started by a NULL. */
    set_current(300);
    uv_timer_start(&timer, on_restart, 0, 0);
    uv_timer_stop(&timer);
    printf("no callback: %s\n", uv_err_name(uv_timer_start(&timer, NULL, 0, 0)));
    uv_close((uv_handle_t *)&timer, NULL);
    printf("closing: %s\n", uv_err_name(uv_timer_start(&timer, on_restart, 0, 0)));
    run();
}

static void on_fired(uv_timer_t *handle)
{
    saw[++calls] = current();
    set_current(current() + 1000);
    if (calls == 6)
        uv_timer_stop(handle);
}

static void on_other(uv_timer_t *handle)
{
    saw[++calls] = 500 + current();
}

static uv_timer_t first;

/* The second start of a value finds what the first has captured: that is the way most starts go. */
static void fire(uv_timer_t *timer, uv_timer_cb callback)
{
    set_current(101 + calls);
    uv_timer_start(&first, on_other, 100000, 0);
    uv_timer_stop(&first);
    expect("started", uv_timer_start(timer, callback, 0, 0), 0);
    set_current(9);
}

/* A timer that fires once is started again and again, by the same callback. */
static void mode_refires(void)
{
    static uv_timer_t timer;
    uv_timer_init(loop, &timer), uv_timer_init(loop, &first);
    for (int i = 1; i <= 4; i++) {
        fire(&timer, on_fired);
        uv_run(loop, UV_RUN_DEFAULT);
        expect("runs", calls, i);
        expect("fired sees", saw[i], 100 + i);
        expect("afterwards", current(), 9);
    }
    fire(&timer, on_fired);
    uv_timer_set_repeat(&timer, 1); /* before it fires: it goes on, and keeps what it has set */
    uv_run(loop, UV_RUN_DEFAULT);
    expect("runs", calls, 6);
    expect("fired sees", saw[5], 105);
    expect("repeated sees", saw[6], 1105);
    fire(&timer, on_fired);
    calls++;
    fire(&timer, on_fired); /* while it waits */
    uv_run(loop, UV_RUN_DEFAULT);
    expect("runs", calls, 8);
    expect("fired sees", saw[8], 108);
    fire(&timer, on_other);
    uv_run(loop, UV_RUN_DEFAULT);
    expect("the other sees", saw[9], 609);
    fire(&timer, on_other);
    uv_timer_stop(&timer);
    fire(&timer, on_other);
    expect("no callback", uv_timer_start(&timer, NULL, 0, 0), UV_EINVAL);
    uv_close((uv_handle_t *)&timer, NULL), uv_close((uv_handle_t *)&first, NULL);
    expect("closing", uv_timer_start(&timer, on_other, 0, 0), UV_EINVAL);
    run();
    expect("runs", calls, 9);
}

static void on_first(uv_idle_t *handle)
{
    saw[1] = current();
    uv_close((uv_handle_t *)handle, NULL);
}

static void on_second(uv_idle_t *handle)
{
    saw[2] = current();
    uv_close((uv_handle_t *)handle, NULL);
}

/* Starting an active idle handle does nothing: the first callback stays. */
static void mode_active(void)
{
    uv_idle_t idle;
    uv_idle_init(loop, &idle);
    set_current(101);
    uv_idle_start(&idle, on_first);
    set_current(102);
    expect("started again", uv_idle_start(&idle, on_second), 0);
    run();
    expect("first sees", saw[1], 101);
    expect("second ran", saw[2], 0);
}

static uv_timer_t *outer_timer;

static void on_inner_timer(uv_timer_t *handle)
{
    saw[2] = current();
    uv_close((uv_handle_t *)outer_timer, on_close); /* frees what still runs */
    uv_close((uv_handle_t *)handle, on_close);
}

static void on_outer_timer(uv_timer_t *handle)
{
    uv_timer_t *inner;
    saw[1] = current();
    inner = handle_new(sizeof(*inner));
    uv_timer_init(loop, inner);
    inner->data = (void *)2;
    set_current(202);
    uv_timer_start(inner, on_inner_timer, 0, 1);
    set_current(203);
    uv_run(loop, UV_RUN_DEFAULT);
    saw[3] = current();
}

/* A loop inside a callback closes and frees the handle that is running. */
static void mode_nested(void)
{
    outer_timer = handle_new(sizeof(*outer_timer));
    uv_timer_init(loop, outer_timer);
    outer_timer->data = (void *)1;
    set_current(101);
    uv_timer_start(outer_timer, on_outer_timer, 0, 1000);
    run();
    expect("outer sees", saw[1], 101);
    expect("inner sees", saw[2], 202);
    expect("outer has its own back", saw[3], 203);
    expect("outer's close sees", closed_saw[1], 202);
}

static int self_depth, self_ticks;

static void on_self(uv_timer_t *handle)
{
    int tick = ++self_ticks;
    saw[tick] = current();
    if (tick == 3) {
        uv_close((uv_handle_t *)handle, NULL);
        return;
    }
    set_current(300 + tick);
    if (++self_depth == 1) {
        while (self_ticks < 2) /* not UV_RUN_ONCE, which runs timers twice */
            uv_run(loop, UV_RUN_NOWAIT);
        expect("the outer run has", current(), 301);
    }
    self_depth--;
}

/* A timer whose callback runs inside itself: the inner run keeps nothing. */
static void mode_inside_itself(void)
{
    uv_timer_t timer;
    uv_timer_init(loop, &timer);
    set_current(101);
    uv_timer_start(&timer, on_self, 0, 1);
    set_current(9);
    while (uv_loop_alive(loop)) {
        uv_run(loop, UV_RUN_ONCE);
        expect("between ticks", current(), 9);
    }
    expect("outer sees", saw[1], 101);
    expect("inner sees", saw[2], 101);
    expect("the next sees", saw[3], 301);
}

static uv_async_t async;

static void on_sent(uv_async_t *handle)
{
    saw[++calls] = current();
    set_current(7000);
}

static void on_sent_by_task(uv_async_t *handle)
{
    saw[++calls] = current();
    if (calls == 5)
        uv_close((uv_handle_t *)handle, NULL);
}

static void on_sending(uv_timer_t *handle)
{
    set_current(200 + ++starts);
    uv_async_send(&async);
    set_current(7);
    if (starts == 5)
        uv_close((uv_handle_t *)handle, NULL);
}

/* Sent by a task that has set a value of its own: the callback gets that, when the task is long over. */
static void mode_sent_by_task(void)
{
    static uv_timer_t timer;
    uv_async_init(loop, &async, on_sent_by_task);
    uv_timer_init(loop, &timer);
    set_current(101);
    uv_timer_start(&timer, on_sending, 5, 20);
    set_current(9);
    while (uv_loop_alive(loop)) {
        uv_run(loop, UV_RUN_ONCE);
        expect("between callbacks", current(), 9);
    }
    for (int i = 1; i <= 5; i++)
        expect("async sees", saw[i], 200 + i);
}

static void *send_from_thread(void *argument)
{
    set_current((long)argument);
    uv_async_send(&async);
    return NULL;
}

static void on_usr1(int number)
{
    uv_async_send(&async);
}

static void on_final(uv_async_t *handle)
{
    on_sent(handle);
    uv_close((uv_handle_t *)handle, NULL);
}

/* The sender's context; of several sends the last one's. */
static void mode_async(void)
{
    pthread_t thread;
    uv_async_init(loop, &async, on_sent);
    for (long i = 1; i <= 3; i++) {
        pthread_create(&thread, NULL, send_from_thread, (void *)(100 + i));
        pthread_join(thread, NULL);
        set_current(9);
        uv_run(loop, UV_RUN_ONCE);
    }
    for (long i = 4; i <= 6; i++) {
        set_current(100 + i);
        uv_async_send(&async);
    }
    set_current(9);
    uv_run(loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&async, NULL);
    run();
    expect("calls", calls, 4);
    for (int i = 1; i <= 3; i++)
        expect("callback sees", saw[i], 100 + i);
    expect("the last sender's", saw[4], 106);
    /* Sent, and closed before it could run. */
    uv_async_init(loop, &async, on_final);
    set_current(107);
    uv_async_send(&async);
    uv_close((uv_handle_t *)&async, NULL);
    run();
    expect("calls", calls, 4);
}

static volatile long handled;
static volatile int stop_kicking;
static long after_signal;

static void on_storm(int number)
{
    handled++;
    uv_async_send(&async);
}

static void on_count(uv_async_t *handle)
{
    long seen = current();
    calls++;
    after_signal += seen != 0 && (seen < 100 || seen > 100 + 50000);
}

static void on_check_work(uv_work_t *request)
{
    saw[0] += current() != (long)request->data;
}

static void on_check_done(uv_work_t *request, int status)
{
    free(request);
}

static void *kick(void *argument)
{
    while (!stop_kicking) {
        pthread_kill(*(pthread_t *)argument, SIGUSR1);
        sleep_ms(0);
    }
    return NULL;
}

/* Signal handlers send while their thread is in the middle of anything. */
static void mode_signal(void)
{
    struct sigaction action = {.sa_handler = on_usr1, .sa_flags = SA_RESTART};
    pthread_t self = pthread_self(), kicker;
    sigaction(SIGUSR1, &action, NULL);
    uv_async_init(loop, &async, on_sent);
    uv_work_t *first = malloc(sizeof(*first));
    set_current(101);
    first->data = (void *)101;
    uv_queue_work(loop, first, on_check_work, on_check_done); /* a context is at hand */
    raise(SIGUSR1);
    set_current(9);
    while (!calls)
        uv_run(loop, UV_RUN_ONCE);
    expect("sent by a handler, sees", saw[1], 101);
    uv_close((uv_handle_t *)&async, NULL);
    run();
    calls = 0;
    action.sa_handler = on_storm;
    sigaction(SIGUSR1, &action, NULL);
    uv_async_init(loop, &async, on_count);
    set_current(100); /* signals come from now on, also before the first round */
    pthread_create(&kicker, NULL, kick, &self);
    for (long i = 1; i <= 3000 || handled < 300; i++) {
        uv_work_t *request = malloc(sizeof(*request));
        set_current(100 + i % 50000);
        request->data = (void *)(100 + i % 50000);
        uv_queue_work(loop, request, on_check_work, on_check_done);
        uv_run(loop, UV_RUN_NOWAIT);
    }
    stop_kicking = 1;
    pthread_join(kicker, NULL);
    for (int i = 0; i < 500; i++) {
        sleep_ms(1);
        uv_run(loop, UV_RUN_NOWAIT);
    }
    uv_close((uv_handle_t *)&async, NULL);
    uv_run(loop, UV_RUN_DEFAULT);
    expect("work in a wrong context", saw[0], 0);
    expect("signals", handled > 10, 1);
    expect("callbacks", calls > 0, 1);
    expect("callbacks in a strange context", after_signal, 0);
}

/* Every stop function lets the context go, and starting again takes a new one. */
static void mode_stops(void)
{
    int ends[2];
    char text[] = "/tmp";
    uv_timer_t timer;
    uv_poll_t poll;
    uv_idle_t idle;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_signal_t signal;
    uv_pipe_t stream;
    uv_udp_t udp;
    uv_fs_event_t event;
    uv_fs_poll_t file_poll;
    struct sockaddr_in address;
    uv_ip4_addr("127.0.0.1", 0, &address);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    uv_timer_init(loop, &timer), uv_poll_init(loop, &poll, ends[0]), uv_idle_init(loop, &idle);
    uv_prepare_init(loop, &prepare), uv_check_init(loop, &check), uv_signal_init(loop, &signal);
    uv_pipe_init(loop, &stream, 0), uv_pipe_open(&stream, ends[1]), uv_udp_init(loop, &udp);
    uv_udp_bind(&udp, (struct sockaddr *)&address, 0);
    uv_fs_event_init(loop, &event), uv_fs_poll_init(loop, &file_poll);
    for (int round = 1; round <= 3; round++) {
        set_current(100 * round);
        uv_timer_start(&timer, on_timer, 100000, 0), uv_timer_stop(&timer);
        uv_poll_start(&poll, UV_READABLE, on_poll), uv_poll_stop(&poll);
        uv_idle_start(&idle, on_idle), uv_idle_stop(&idle);
        uv_prepare_start(&prepare, on_prepare), uv_prepare_stop(&prepare);
        uv_check_start(&check, on_check), uv_check_stop(&check);
        uv_signal_start(&signal, on_signal, SIGUSR1), uv_signal_stop(&signal);
        uv_read_start((uv_stream_t *)&stream, on_alloc, on_read), uv_read_stop((uv_stream_t *)&stream);
        uv_udp_recv_start(&udp, on_alloc, on_recv), uv_udp_recv_stop(&udp);
        uv_fs_event_start(&event, on_fs_event, text, 0), uv_fs_event_stop(&event);
        uv_fs_poll_start(&file_poll, on_fs_poll, text, 100000), uv_fs_poll_stop(&file_poll);
    }
    idle.data = (void *)1;
    set_current(101);
    uv_idle_start(&idle, on_first);
    run();
    uv_handle_t *all[] = {(uv_handle_t *)&timer,  (uv_handle_t *)&poll,   (uv_handle_t *)&prepare,
                          (uv_handle_t *)&check,  (uv_handle_t *)&signal, (uv_handle_t *)&stream,
                          (uv_handle_t *)&udp,    (uv_handle_t *)&event,  (uv_handle_t *)&file_poll};
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        uv_close(all[i], NULL);
    run();
    expect("calls", calls, 0);
    expect("callback sees", saw[1], 101);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"ways", mode_ways},     {"keeps", mode_keeps}, {"restart", mode_restart}, {"active", mode_active},
    {"nested", mode_nested}, {"async", mode_async}, {"signal", mode_signal},   {"stops", mode_stops},
    {"rare", mode_rare},     {"ages", mode_ages},
    {"refires", mode_refires},
    {"inside_itself", mode_inside_itself}, {"sent_by_task", mode_sent_by_task},
};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    loop = uv_default_loop();
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            expect("loop closed", uv_loop_close(loop), 0);
            return verdict();
        }
    return 2;
}
