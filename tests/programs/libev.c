// libev watchers: a callback runs in the context of the call that started its watcher.
// link: -lev
// usage: libev MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <ev.h>
#include <sys/wait.h>

static struct ev_loop *loop;
static long saw[24], calls, starts;
static ev_timer timer;

#define NOTE(w)                            \
    do {                                   \
        saw[(long)(w)->data] = current();  \
        set_current(7000);                 \
        calls++;                           \
    } while (0)

#define CALLBACK(kind)                                              \
    static void on_##kind(struct ev_loop *l, ev_##kind *w, int what) \
    {                                                               \
        NOTE(w);                                                    \
        ev_##kind##_stop(l, w);                                     \
        expect("callback is the program's", ev_cb(w) == on_##kind, 1); \
    }

CALLBACK(io)
CALLBACK(timer)
CALLBACK(periodic)
CALLBACK(signal)
CALLBACK(child)
CALLBACK(stat)
CALLBACK(idle)
CALLBACK(prepare)
CALLBACK(check)
CALLBACK(async)

static void on_once(int what, void *arg)
{
    saw[(long)arg] = current();
    set_current(7000);
    calls++;
}

static void *next(void)
{
    set_current(100 + ++starts);
    return (void *)starts;
}

#define NEW(kind, ...)                              \
    static ev_##kind kind##_watcher;                \
    ev_##kind##_init(&kind##_watcher, on_##kind, ##__VA_ARGS__); \
    kind##_watcher.data = next();                   \
    ev_##kind##_start(loop, &kind##_watcher)

static void mode_ways(void)
{
    int ends[2];
    char path[] = "/tmp/baton-ev-XXXXXX";
    int file = mkstemp(path);
    if (pipe(ends) || write(ends[1], "x", 1) != 1)
        abort();
    NEW(io, ends[0], EV_READ);
    NEW(timer, 0., 0.);
    NEW(periodic, 0., 0.01, NULL);
    NEW(signal, SIGUSR1);
    pid_t child = fork();
    if (!child)
        _exit(0);
    NEW(child, child, 0);
    NEW(stat, path, 0.1);
    NEW(idle);
    NEW(prepare);
    NEW(check);
    NEW(async);
    ev_once(loop, -1, 0, 0., on_once, next());
    ev_once(loop, ends[0], EV_READ, -1, on_once, next());
    set_current(9);
    kill(getpid(), SIGUSR1);
    ev_async_send(loop, &async_watcher);
    ev_run(loop, EVRUN_NOWAIT);
    sleep_ms(20);
    if (write(file, "text", 4) != 4)
        abort();
    ev_run(loop, 0);
    unlink(path);
    expect("the loop's thread has", current(), 9);
    expect("calls", calls, starts);
    for (int i = 1; i <= starts; i++)
        expect("callback sees", saw[i], 100 + i);
}

static void on_tick(struct ev_loop *l, ev_timer *w, int what)
{
    saw[++calls] = current();
    set_current(current() + 1000);
    if (calls == 3)
        ev_timer_stop(l, w);
}

/* What a callback sets is there when it runs the next time, and for nobody else. */
static void mode_keeps(void)
{
    ev_timer_init(&timer, on_tick, 0., 0.001);
    set_current(101);
    ev_timer_start(loop, &timer);
    set_current(9);
    while (calls < 3) {
        ev_run(loop, EVRUN_ONCE);
        expect("between ticks", current(), 9);
    }
    for (int i = 0; i < 3; i++)
        expect("tick sees", saw[i + 1], 101 + 1000 * i);
}

static void on_restart(struct ev_loop *l, ev_timer *w, int what)
{
    saw[++calls] = current();
    if (calls < 3) {
        set_current(101 + calls);
        ev_timer_set(w, 0., 0.);
        ev_timer_start(l, w);
    } else if (calls == 3) {
        set_current(104);
        w->repeat = 0.001;
        ev_timer_again(l, w);
    } else if (calls == 4) {
        set_current(105);
        ev_timer_again(l, w);
    } else {
        w->repeat = 0;
        ev_timer_again(l, w);
    }
    set_current(6000);
}

/* Timers that start themselves. */
static void mode_restart(void)
{
    ev_timer_init(&timer, on_restart, 0., 0.);
    set_current(101);
    ev_timer_start(loop, &timer);
    set_current(102);
    ev_timer_start(loop, &timer); /* active: does nothing */
    set_current(9);
    ev_run(loop, 0);
    expect("calls", calls, 5);
    for (int i = 1; i <= 5; i++)
        expect("run sees", saw[i], 100 + i);
    expect("callback is the program's", ev_cb(&timer) == on_restart, 1);
    expect("the loop's thread has", current(), 9);
}

/* Watchers that never run. */
static void mode_stopped(void)
{
    for (int i = 0; i < 3; i++) {
        set_current(55);
        ev_timer_init(&timer, on_tick, 100., 100.);
        ev_timer_start(loop, &timer);
        ev_timer_again(loop, &timer);
        ev_timer_stop(loop, &timer);
        expect("callback is the program's", ev_cb(&timer) == on_tick, 1);
    }
    ev_once(loop, -1, 0, 0., on_once, next());
    set_current(9);
    ev_run(loop, 0);
    expect("callback sees", saw[1], 101);
}

static ev_timer inner;

static void on_inner(struct ev_loop *l, ev_timer *w, int what)
{
    saw[2] = current();
    set_current(6000);
    ev_timer_stop(l, &timer); /* which is running */
    ev_break(l, EVBREAK_ONE);
}

static void on_outer(struct ev_loop *l, ev_timer *w, int what)
{
    saw[1] = current();
    ev_timer_init(&inner, on_inner, 0., 0.);
    set_current(202);
    ev_timer_start(l, &inner);
    set_current(203);
    ev_run(l, 0);
    saw[3] = current();
}

/* A loop inside a callback, which stops the watcher that is running. */
static void mode_nested(void)
{
    ev_timer_init(&timer, on_outer, 0., 100.);
    set_current(101);
    ev_timer_start(loop, &timer);
    set_current(9);
    ev_run(loop, 0);
    expect("outer sees", saw[1], 101);
    expect("inner sees", saw[2], 202);
    expect("outer has its own back", saw[3], 203);
    expect("the loop's thread has", current(), 9);
}

/* ---- fork and the end of a loop ---- */

static ev_fork forked, stopped_fork;
static ev_cleanup cleaned, stopped_cleanup;

static void on_fork(struct ev_loop *l, ev_fork *w, int what)
{
    saw[++calls] = current();
    set_current(current() + 1000);
}

static void on_never(struct ev_loop *l, ev_fork *w, int what)
{
    expect("a stopped watcher", 1, 0);
}

/* In the child, each time it is told that it is one. */
static void mode_fork(void)
{
    ev_fork_init(&forked, on_fork);
    ev_fork_init(&stopped_fork, on_never);
    set_current(101);
    ev_fork_start(loop, &forked);
    set_current(102);
    ev_fork_start(loop, &stopped_fork);
    ev_fork_stop(loop, &stopped_fork);
    expect("callback is the program's", ev_cb(&stopped_fork) == on_never, 1);
    set_current(9);
    fflush(stdout);
    pid_t child = fork();
    if (!child) {
        for (int i = 0; i < 2; i++) {
            ev_loop_fork(loop);
            ev_run(loop, EVRUN_NOWAIT);
            expect("child has", current(), 9);
            expect("child's callback sees", saw[i + 1], 101 + i * 1000);
        }
        expect("calls", calls, 2);
        fflush(stdout);
        _exit(wrong_results != 0);
    }
    int status = -1;
    waitpid(child, &status, 0);
    expect("child", status, 0);
    expect("calls", calls, 0);
    ev_fork_stop(loop, &forked);
    expect("callback is the program's", ev_cb(&forked) == on_fork, 1);
}

static void on_cleanup(struct ev_loop *l, ev_cleanup *w, int what)
{
    saw[++calls] = current();
    set_current(6000);
}

static void on_no_cleanup(struct ev_loop *l, ev_cleanup *w, int what)
{
    expect("a stopped watcher", 1, 0);
}

static void on_lost(int what, void *arg)
{
    expect("a dropped callback", 1, 0);
}

/* A loop that is destroyed, with watchers that are still active; the other loop's stay. */
static void mode_destroy(void)
{
    static ev_timer left[100], other;
    struct ev_loop *own = ev_loop_new(0);
    set_current(101);
    ev_timer_init(&other, on_timer, 0., 0.);
    other.data = (void *)2;
    ev_timer_start(loop, &other);
    for (int i = 0; i < 100; i++) {
        set_current(200 + i);
        ev_timer_init(&left[i], on_timer, 100., 0.);
        ev_timer_start(own, &left[i]);
        ev_once(own, -1, 0, 100., on_lost, NULL);
    }
    ev_cleanup_init(&cleaned, on_cleanup);
    ev_cleanup_init(&stopped_cleanup, on_no_cleanup);
    set_current(103);
    ev_cleanup_start(own, &cleaned);
    set_current(104);
    ev_cleanup_start(own, &stopped_cleanup);
    ev_cleanup_stop(own, &stopped_cleanup);
    expect("callback is the program's", ev_cb(&stopped_cleanup) == on_no_cleanup, 1);
    set_current(9);
    ev_loop_destroy(own);
    memset(left, 0, sizeof(left));
    expect("the thread has", current(), 9);
    expect("cleanup sees", saw[1], 103);
    expect("calls", calls, 1);
    ev_run(loop, 0);
    expect("the other loop's sees", saw[2], 101);
}

static ev_periodic periodic;

static void on_period(struct ev_loop *l, ev_periodic *w, int what)
{
    saw[++calls] = current();
    set_current(current() + 1000);
    if (calls == 2) {
        set_current(102);
        w->interval = 0.002;
        ev_periodic_again(l, w);
        set_current(6000);
    } else if (calls == 4) {
        ev_periodic_stop(l, w);
    }
}

/* Started anew from outside and by its own callback. */
static void mode_periodic(void)
{
    ev_periodic_init(&periodic, on_period, 0., 100., NULL);
    set_current(55);
    ev_periodic_start(loop, &periodic);
    periodic.interval = 0.001;
    set_current(101);
    ev_periodic_again(loop, &periodic);
    set_current(9);
    ev_run(loop, 0);
    expect("the loop's thread has", current(), 9);
    expect("calls", calls, 4);
    expect("sees", saw[1], 101);
    expect("sees", saw[2], 1101);
    expect("sees", saw[3], 102);
    expect("sees", saw[4], 1102);
    expect("callback is the program's", ev_cb(&periodic) == on_period, 1);
    ev_periodic_again(loop, &periodic); /* starts one that was stopped */
    ev_periodic_stop(loop, &periodic);
    expect("callback is the program's", ev_cb(&periodic) == on_period, 1);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"ways", mode_ways},       {"keeps", mode_keeps},   {"restart", mode_restart},
    {"stopped", mode_stopped}, {"nested", mode_nested}, {"fork", mode_fork},
    {"destroy", mode_destroy}, {"periodic", mode_periodic},
};

int main(int argc, char **argv)
{
    carrier_choose(argc > 2 ? argv[2] : "key");
    loop = ev_default_loop(0);
    for (size_t i = 0; argc > 1 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (!strcmp(modes[i].name, argv[1])) {
            modes[i].run();
            return verdict();
        }
    return 2;
}
