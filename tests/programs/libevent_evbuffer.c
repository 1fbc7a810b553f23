// libevent's buffers: a callback that tells of a change runs in the context of the call that added it.
// libs: libevent libevent_pthreads
// usage: libevent_evbuffer MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <event2/buffer.h>
#include <event2/buffer_compat.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_compat.h>
#include <event2/event.h>
#include <event2/event_compat.h>
#include <event2/thread.h>
#include <sys/socket.h>
#include <sys/wait.h>

static struct event_base *base;
static struct evbuffer *buffer;
static struct evbuffer_cb_entry *own;
static long saw[64], calls, one = 1, two = 2;

static void on_change(struct evbuffer *changed, const struct evbuffer_cb_info *info, void *arg)
{
    expect("added", info->n_added, 4);
    saw[++calls] = current();
    set_current(current() + *(long *)arg * 1000);
}

static void on_length(struct evbuffer *changed, size_t before, size_t after, void *arg)
{
    expect("argument", *(long *)arg, 2);
    expect("more", after - before, 4);
    saw[++calls] = current();
}

static void on_leave(struct evbuffer *changed, const struct evbuffer_cb_info *info, void *arg)
{
    saw[++calls] = current();
    expect("removed", evbuffer_remove_cb_entry(changed, own), 0);
    set_current(77);
}

static void change(void)
{
    set_current(9);
    evbuffer_add(buffer, "text", 4);
    expect("the thread has", current(), 9);
}

static void add(evbuffer_cb_func callback, long *arg, long value)
{
    set_current(value);
    own = evbuffer_add_cb(buffer, callback, arg);
}

/* Each has its own context, and keeps what it sets; the newest runs first. */
static void mode_keeps(void)
{
    add(on_change, &one, 101);
    add(on_change, &two, 201);
    change();
    change();
    expect("calls", calls, 4);
    expect("sees", saw[1], 201);
    expect("sees", saw[2], 101);
    expect("sees", saw[3], 2201);
    expect("sees", saw[4], 1101);
    evbuffer_cb_clear_flags(buffer, own, EVBUFFER_CB_ENABLED);
    change();
    expect("calls", calls, 5);
    evbuffer_cb_set_flags(buffer, own, EVBUFFER_CB_ENABLED);
    change();
    expect("sees", saw[6], 4201);
}

/* By function and argument, of two that are the same the newest; by handle; by itself; what is not there. */
static void mode_remove(void)
{
    add(on_change, &one, 101);
    struct evbuffer_cb_entry *first = own;
    add(on_change, &one, 102);
    expect("not there", evbuffer_remove_cb(buffer, on_change, &two), -1);
    expect("removed", evbuffer_remove_cb(buffer, on_change, &one), 0);
    change();
    expect("calls", calls, 1);
    expect("sees", saw[1], 101);
    expect("removed", evbuffer_remove_cb_entry(buffer, first), 0);
    expect("not there", evbuffer_remove_cb(buffer, on_change, &one), -1);
    change();
    expect("calls", calls, 1);
    add(on_leave, &two, 103);
    change();
    change();
    expect("calls", calls, 2);
    expect("sees", saw[2], 103);
    for (int i = 0; i < 100; i++) {
        add(on_change, &one, 110 + i);
        expect("removed", evbuffer_remove_cb(buffer, on_change, &one), 0);
    }
}

/* The old way takes all others away. */
static void mode_set(void)
{
    add(on_change, &one, 101);
    set_current(102);
    expect("set", evbuffer_setcb(buffer, on_length, &two), 0);
    change();
    expect("calls", calls, 1);
    expect("sees", saw[1], 102);
    set_current(103);
    expect("set", evbuffer_setcb(buffer, on_length, &two), 0);
    change();
    expect("sees", saw[2], 103);
    evbuffer_setcb(buffer, NULL, NULL);
    change();
    expect("calls", calls, 2);
    set_current(104);
    evbuffer_setcb(buffer, on_length, &two);
    expect("removed", evbuffer_remove_cb(buffer, (evbuffer_cb_func)(void *)on_length, &two), 0);
    change();
    expect("calls", calls, 2);
    set_current(105);
    evbuffer_setcb(buffer, on_length, &two); /* goes with the buffer */
}

static void loop(void)
{
    set_current(9);
    event_base_loop(base, EVLOOP_NONBLOCK);
    expect("the loop's thread has", current(), 9);
}

/* Told by the loop, also for a buffer that its owner has freed meanwhile; and one that is never told. */
static void mode_deferred(void)
{
    add(on_change, &one, 101);
    evbuffer_defer_callbacks(buffer, base);
    change();
    expect("calls", calls, 0);
    loop();
    expect("sees", saw[1], 101);
    change();
    evbuffer_free(buffer);
    loop();
    expect("sees", saw[2], 1101);
    expect("calls", calls, 2);
    buffer = evbuffer_new();
    add(on_change, &one, 102);
    change();
    expect("sees", saw[3], 102);
}

/* The buffers of a bufferevent, which are freed from inside; the old way to make one. */
static void on_input(struct bufferevent *changed, void *arg)
{
    saw[++calls] = current();
    evbuffer_drain(bufferevent_get_input(changed), 4);
}

static void on_end(struct bufferevent *changed, short what, void *arg)
{
    saw[++calls] = current();
}

static void on_arrival(struct evbuffer *changed, const struct evbuffer_cb_info *info, void *arg)
{
    if (info->n_added)
        saw[++calls] = current();
}

static void mode_bufferevent(void)
{
    evutil_socket_t ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends))
        abort();
    evutil_make_socket_nonblocking(ends[0]);
    set_current(101);
    struct bufferevent *stream = bufferevent_new(ends[0], on_input, NULL, on_end, NULL);
    bufferevent_enable(stream, EV_READ | EV_WRITE);
    set_current(102);
    evbuffer_add_cb(bufferevent_get_output(stream), on_change, &one);
    set_current(9);
    bufferevent_write(stream, "text", 4);
    expect("output sees", saw[1], 102);
    evbuffer_remove_cb(bufferevent_get_output(stream), on_change, &one);
    set_current(103);
    evbuffer_add_cb(bufferevent_get_input(stream), on_arrival, &two);
    if (write(ends[1], "text", 4) != 4)
        abort();
    loop();
    expect("input sees", saw[2], 103);
    expect("read sees", saw[3], 101);
    evbuffer_remove_cb(bufferevent_get_input(stream), on_arrival, &two);
    set_current(104);
    evbuffer_add_cb(bufferevent_get_input(stream), on_arrival, &two);
    close(ends[1]);
    loop();
    expect("end sees", saw[4], 101);
    bufferevent_free(stream);
    loop();
    close(ends[0]);
}

/* Several threads change one buffer, another adds and removes callbacks. */
enum { ROUNDS = 500 };
static long counted, wrong;

static void on_count(struct evbuffer *changed, const struct evbuffer_cb_info *info, void *arg)
{
    counted += info->n_added;
    wrong += current() != *(long *)arg;
}

static void *write_all(void *arg)
{
    set_current(5);
    for (int i = 0; i < ROUNDS; i++)
        evbuffer_add(buffer, "text", 4);
    expect("writer has", current(), 5);
    return NULL;
}

static void mode_threads(void)
{
    pthread_t threads[2];
    long value = 301, other = 302;
    evbuffer_enable_locking(buffer, NULL);
    add(on_count, &value, 301);
    set_current(0);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, write_all, NULL);
    for (int i = 0; i < ROUNDS; i++) {
        add(on_count, &other, 302);
        evbuffer_remove_cb(buffer, on_count, &other);
    }
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    expect("all counted", counted >= 2 * ROUNDS * 4, 1);
    expect("wrong", wrong, 0);
}

/* A child is forked while other threads add callbacks and start events, and does the same. */
static int stop;

static void nothing(evutil_socket_t fd, short what, void *arg)
{
}

static void add_and_start(struct event_base *its_base, struct evbuffer *its)
{
    struct timeval later = {100, 0};
    struct event *event = event_new(its_base, -1, 0, nothing, NULL);
    event_add(event, &later);
    evbuffer_add_cb(its, on_change, &one);
    evbuffer_remove_cb(its, on_change, &one);
    event_base_once(its_base, -1, EV_TIMEOUT, nothing, NULL, &later);
    event_free(event);
}

static void *keep_busy(void *arg)
{
    struct event_base *its_base = event_base_new();
    struct evbuffer *its = evbuffer_new();
    set_current(5);
    for (int i = 0; !__atomic_load_n(&stop, __ATOMIC_RELAXED) && i < 100000; i++)
        add_and_start(its_base, its);
    evbuffer_free(its);
    event_base_free(its_base);
    return NULL;
}

static void mode_fork(void)
{
    pthread_t threads[2];
    long ended = 0;
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, keep_busy, NULL);
    set_current(101);
    evbuffer_add_cb(buffer, on_change, &one);
    for (int i = 0; i < 20; i++) {
        fflush(stdout);
        pid_t child = fork();
        if (!child) {
            end_if_left();
            add_and_start(base, buffer);
            set_current(9);
            fclose(stdout);
            evbuffer_add(buffer, "text", 4);
            _exit(saw[1] != 101);
        }
        int status = -1;
        waitpid(child, &status, 0);
        if (status)
            printf("child %d ended with %#x\n", i, status);
        ended += status == 0;
    }
    __atomic_store_n(&stop, 1, __ATOMIC_RELAXED);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    expect("children that went well", ended, 20);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {{"keeps", mode_keeps},       {"remove", mode_remove},         {"set", mode_set},
             {"deferred", mode_deferred}, {"bufferevent", mode_bufferevent}, {"threads", mode_threads},
             {"fork", mode_fork}};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    if (argc > 1 && (!strcmp(argv[1], "threads") || !strcmp(argv[1], "fork")))
        evthread_use_pthreads();
    if (argc > 1 && !strcmp(argv[1], "bufferevent"))
        base = event_init();
    else
        base = event_base_new();
    buffer = evbuffer_new();
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            evbuffer_free(buffer);
            event_base_free(base);
            return verdict();
        }
    return 2;
}
