// libevent events: a callback runs in the context of the call that made its event pending or active.
// libs: libevent libevent_pthreads
// usage: libevent MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <event2/event.h>
#include <event2/event_compat.h>
#include <event2/event_struct.h>
#include <event2/thread.h>

static struct event_base *base;
static const struct timeval now, later = {100, 0};
static long saw[32], calls, starts;

static void on_event(evutil_socket_t fd, short what, void *arg)
{
    saw[(long)arg] = current();
    set_current(7000 + (long)arg);
    calls++;
}

static void *next(void)
{
    set_current(100 + ++starts);
    return (void *)starts;
}

static void run(void)
{
    set_current(9);
    event_base_dispatch(base);
    expect("the loop's thread has", current(), 9);
}

static void check_all(void)
{
    expect("calls", calls, starts);
    for (int i = 1; i <= starts; i++)
        expect("callback sees", saw[i], 100 + i);
}

static int readable_fd(void)
{
    int ends[2];
    if (pipe(ends) || write(ends[1], "x", 1) != 1)
        abort();
    return ends[0];
}

static void mode_ways(void)
{
    static struct event assigned, set, other_signal;
    struct event *timer = event_new(base, -1, 0, on_event, next());
    event_add(timer, &now);
    struct event *io = event_new(base, readable_fd(), EV_READ, on_event, next());
    event_add(io, NULL);
    struct event *signal = event_new(base, SIGUSR1, EV_SIGNAL, on_event, next());
    event_add(signal, NULL);
    event_assign(&assigned, base, -1, 0, on_event, next());
    event_add(&assigned, &now);
    event_set(&set, -1, 0, on_event, next());
    event_base_set(base, &set);
    event_add(&set, &now);
    event_base_once(base, -1, EV_TIMEOUT, on_event, next(), &now);
    event_base_once(base, readable_fd(), EV_READ, on_event, next(), NULL);
    struct event *active = event_new(base, -1, 0, on_event, next());
    event_active(active, EV_TIMEOUT, 0);
    struct event *both = event_new(base, -1, 0, on_event, NULL);
    set_current(55);
    event_add(both, &later);
    event_del(both);
    event_free(both);
    both = event_new(base, -1, 0, on_event, next());
    event_add(both, &later);
    set_current(100 + starts);
    event_active(both, EV_TIMEOUT, 0); /* whoever makes it active counts */
    evsignal_assign(&other_signal, base, SIGUSR2, on_event, next());
    evsignal_add(&other_signal, NULL);
    set_current(9);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGUSR2);
    while (calls < starts)
        event_base_loop(base, EVLOOP_ONCE);
    expect("the loop's thread has", current(), 9);
    check_all();
    event_free(timer), event_free(io), event_free(signal), event_free(active), event_free(both);
    event_debug_unassign(&assigned), event_debug_unassign(&set), event_debug_unassign(&other_signal);
}

/* The base that event_init made, and event_once. */
static void mode_once(void)
{
    event_base_free(base);
    base = event_init();
    event_once(-1, EV_TIMEOUT, on_event, next(), &now);
    event_base_once(base, -1, EV_TIMEOUT, on_event, next(), &now);
    event_base_loopexit(base, NULL);
    printf("wrong events: %d\n", event_base_once(base, -1, EV_SIGNAL, on_event, NULL, NULL));
    set_current(9);
    event_base_dispatch(base);
    check_all();
}

static struct event *ticking;

static void on_tick(evutil_socket_t fd, short what, void *arg)
{
    saw[++calls] = current();
    set_current(current() + 1000);
    if (calls == 3)
        event_del(ticking);
}

/* What a persistent event's callback sets is there when it runs the next time, and for nobody else. */
static void mode_keeps(void)
{
    struct timeval soon = {0, 1000};
    ticking = event_new(base, -1, EV_PERSIST, on_tick, NULL);
    set_current(101);
    event_add(ticking, &soon);
    set_current(9);
    while (calls < 3) {
        event_base_loop(base, EVLOOP_ONCE);
        expect("between ticks", current(), 9);
    }
    for (int i = 0; i < 3; i++)
        expect("tick sees", saw[i + 1], 101 + 1000 * i);
    event_free(ticking);
}

static void on_readd(evutil_socket_t fd, short what, void *arg)
{
    struct event *event = arg;
    saw[++calls] = current();
    if (calls < 5) {
        set_current(100 + calls + 1);
        event_add(event, &now);
        set_current(6000);
    } else {
        event_free(event); /* frees itself */
    }
}

/* An event that adds itself again, with itself as argument, and frees itself in the end. */
static void mode_readd(void)
{
    struct event *event = event_new(base, -1, 0, on_readd, event_self_cbarg());
    set_current(101);
    event_add(event, &now);
    run();
    for (int i = 1; i <= 5; i++)
        expect("run sees", saw[i], 100 + i);
    struct event *persistent = event_new(base, -1, EV_PERSIST, on_readd, event_self_cbarg());
    calls = 0;
    set_current(101);
    event_add(persistent, &now);
    run();
    for (int i = 1; i <= 5; i++)
        expect("run sees", saw[i], 100 + i);
}

/* What is asked of an event are the program's own callback and argument. */
static void mode_getters(void)
{
    struct event_base *its_base;
    evutil_socket_t fd;
    short events;
    event_callback_fn callback;
    void *arg;
    struct event on_stack;
    struct event *event = event_new(base, -1, EV_PERSIST, on_event, (void *)7);
    expect("callback", event_get_callback(event) == on_event, 1);
    expect("argument", (long)event_get_callback_arg(event), 7);
    event_get_assignment(event, &its_base, &fd, &events, &callback, &arg);
    expect("assigned", its_base == base && fd == -1 && events == EV_PERSIST && callback == on_event && arg == (void *)7,
           1);
    event_assign(&on_stack, base, -1, 0, on_event, event_self_cbarg());
    expect("self", event_get_callback_arg(&on_stack) == &on_stack, 1);
    event_assign(&on_stack, base, -1, 0, on_tick, (void *)8);
    expect("assigned again", event_get_callback(&on_stack) == on_tick && event_get_callback_arg(&on_stack) == (void *)8,
           1);
    event_debug_unassign(&on_stack);
    event_free(event);
    event = event_new(base, -1, 0, on_event, next());
    event_add(event, &now);
    run();
    check_all();
    event_free(event);
}

/* What libevent refuses leaves nothing behind. */
static void mode_refused(void)
{
    struct event event;
    printf("refused: %d\n", event_assign(&event, base, 1, EV_SIGNAL | EV_READ, on_event, NULL));
    printf("refused: %d\n", event_new(base, 1, EV_SIGNAL | EV_READ, on_event, NULL) != NULL);
    event_base_once(base, -1, EV_TIMEOUT, on_event, next(), &now);
    run();
    check_all();
}

/* Events that never run, and a base that is freed with callbacks under way. */
static void mode_dropped(void)
{
    struct event *deleted = event_new(base, -1, 0, on_event, next());
    event_add(deleted, &later);
    event_add(deleted, &later);
    event_active(deleted, EV_TIMEOUT, 0);
    event_del(deleted);
    event_add(deleted, &later);
    event_free(deleted);
    struct event *left = event_new(base, -1, EV_PERSIST, on_event, next());
    event_add(left, &later);
    for (int i = 0; i < 100; i++)
        event_base_once(base, -1, EV_TIMEOUT, on_event, NULL, &later);
    struct event_base *other = event_base_new();
    event_base_once(other, -1, EV_TIMEOUT, on_event, (void *)3, &now);
    event_free(left);
    event_base_free(base);
    base = other;
    saw[1] = 101, saw[2] = 102, calls = 2;
    set_current(103);
    starts = 3;
    run();
    expect("calls", calls, 3);
    expect("the other base's", saw[3], 102);
}

/* Deleted in each of the ways; a base that is freed without finalizers. */
static void mode_deleted(void)
{
    int (*const ways[])(struct event *) = {event_del, event_del_noblock, event_del_block};
    struct event_base *other = event_base_new();
    struct event *event = event_new(base, -1, 0, on_event, next());
    event_base_once(other, -1, EV_TIMEOUT, on_event, NULL, &later);
    event_base_free_nofinalize(other);
    for (int i = 0; i < 3; i++) {
        set_current(55);
        event_add(event, &now);
        event_active(event, EV_TIMEOUT, 0);
        expect("deleted", ways[i](event), 0);
    }
    set_current(101);
    event_add(event, &now);
    run();
    check_all();
    event_free(event);
}

static void on_inner(evutil_socket_t fd, short what, void *arg)
{
    saw[2] = current();
    set_current(6000);
}

static struct event_base *inner_base;

static void on_outer(evutil_socket_t fd, short what, void *arg)
{
    saw[1] = current();
    set_current(202);
    event_base_once(inner_base, -1, EV_TIMEOUT, on_inner, NULL, &now);
    set_current(203);
    event_base_dispatch(inner_base);
    saw[3] = current();
}

/* A loop inside a callback. */
static void mode_nested(void)
{
    inner_base = event_base_new();
    set_current(101);
    event_base_once(base, -1, EV_TIMEOUT, on_outer, NULL, &now);
    run();
    event_base_free(inner_base);
    expect("outer sees", saw[1], 101);
    expect("inner sees", saw[2], 202);
    expect("outer has its own back", saw[3], 203);
}

static void on_final(struct event *event, void *arg)
{
    saw[4] = (long)arg;
}

static void on_finalize(evutil_socket_t fd, short what, void *arg)
{
    saw[1] = current();
    event_free_finalize(0, ticking, on_final);
}

static void mode_finalize(void)
{
    static struct event assigned;
    ticking = event_new(base, -1, EV_PERSIST, on_finalize, (void *)44);
    set_current(101);
    event_add(ticking, &now);
    run();
    expect("callback sees", saw[1], 101);
    expect("finalizer's argument", saw[4], 44);
    event_assign(&assigned, base, -1, 0, on_event, (void *)45);
    event_add(&assigned, &later);
    event_finalize(0, &assigned, on_final);
    run();
    expect("finalizer's argument", saw[4], 45);
}

enum { ADDERS = 4, ADDED = 2000 };

static struct event *shared[ADDERS];
static long storm_calls, storm_wrong, stop_storm;

static void on_storm(evutil_socket_t fd, short what, void *arg)
{
    long seen = current();
    storm_calls++;
    storm_wrong += seen / 100000 != (long)arg;
    set_current(1);
}

static void on_storm_once(evutil_socket_t fd, short what, void *arg)
{
    storm_calls++;
    storm_wrong += current() != (long)arg;
}

static void *add_many(void *argument)
{
    long me = (long)argument;
    for (long i = 1; i <= ADDED; i++) {
        set_current(me * 100000 + i);
        if (i % 3 == 0)
            event_active(shared[me - 1], EV_TIMEOUT, 0);
        else if (i % 3 == 1)
            event_add(shared[me - 1], &now);
        else
            event_base_once(base, -1, EV_TIMEOUT, on_storm_once, (void *)(me * 100000 + i), &now);
        if (i % 100 == 0)
            event_del(shared[me - 1]);
    }
    __atomic_add_fetch(&stop_storm, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Four threads add, activate and delete events of one loop. */
static void mode_threads(void)
{
    pthread_t threads[ADDERS];
    event_base_free(base);
    evthread_use_pthreads();
    base = event_base_new();
    for (long i = 0; i < ADDERS; i++)
        shared[i] = event_new(base, -1, 0, on_storm, (void *)(i + 1));
    for (long i = 0; i < ADDERS; i++)
        pthread_create(&threads[i], NULL, add_many, (void *)(i + 1));
    while (__atomic_load_n(&stop_storm, __ATOMIC_ACQUIRE) < ADDERS)
        event_base_loop(base, EVLOOP_NONBLOCK);
    for (int i = 0; i < ADDERS; i++)
        pthread_join(threads[i], NULL);
    event_base_loop(base, EVLOOP_NONBLOCK);
    for (int i = 0; i < ADDERS; i++)
        event_free(shared[i]);
    event_base_loop(base, EVLOOP_NONBLOCK);
    expect("called", storm_calls > ADDERS * ADDED / 3, 1);
    expect("wrong", storm_wrong, 0);
    expect("the loop's thread has", current(), 0);
}

static void on_slow(evutil_socket_t fd, short what, void *arg)
{
    static struct gate *gate;
    gate = arg;
    gate_wait(gate);
    saw[1] = current();
}

static void *free_elsewhere(void *argument)
{
    struct gate *gate = argument;
    gate_await(gate, 1);
    event_add(ticking, &later);
    gate_open(gate);
    event_free(ticking);
    return NULL;
}

/* Another thread adds and frees the event while its callback runs. */
static void mode_free_elsewhere(void)
{
    pthread_t thread;
    event_base_free(base);
    evthread_use_pthreads();
    base = event_base_new();
    for (int i = 1; i <= 100; i++) {
        struct gate gate = GATE_CLOSED;
        ticking = event_new(base, -1, i % 2 ? EV_PERSIST : 0, on_slow, &gate);
        set_current(100 + i);
        event_add(ticking, &now);
        set_current(9);
        pthread_create(&thread, NULL, free_elsewhere, &gate);
        event_base_loop(base, EVLOOP_ONCE);
        pthread_join(thread, NULL);
        if (saw[1] != 100 + i)
            expect("round sees", saw[1], 100 + i);
    }
    expect("the loop's thread has", current(), 9);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"ways", mode_ways},       {"once", mode_once},         {"keeps", mode_keeps},     {"readd", mode_readd},
    {"getters", mode_getters}, {"refused", mode_refused}, {"dropped", mode_dropped},   {"nested", mode_nested},   {"finalize", mode_finalize},
    {"threads", mode_threads}, {"free_elsewhere", mode_free_elsewhere}, {"deleted", mode_deleted},
};

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
