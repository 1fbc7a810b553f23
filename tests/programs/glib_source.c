// GLib main loop sources, every way to make one: a callback runs in the context of its registration.
// libs: gio-2.0 gobject-2.0
// usage: glib_source MODE [CARRIER]; a mode is one promise, named in the table at the end
#include "carrier.h"
#include <glib-unix.h>
#include <glib-object.h>
#include "older_glib.h"
#include <stdatomic.h>
#include <sys/wait.h>

enum { WAYS = 24 };

static long saw[WAYS], dispatched, notified;

static void note(gpointer data)
{
    saw[(long)data] = current();
    set_current(7000 + (long)data);
    dispatched++;
}

static gboolean on_source(gpointer data)
{
    note(data);
    return G_SOURCE_REMOVE;
}

static void on_child(GPid pid, gint status, gpointer data)
{
    note(data);
}

static gboolean on_io(GIOChannel *channel, GIOCondition condition, gpointer data)
{
    note(data);
    return G_SOURCE_REMOVE;
}

static gboolean on_fd(gint fd, GIOCondition condition, gpointer data)
{
    note(data);
    return G_SOURCE_REMOVE;
}

static void on_notify(gpointer data)
{
    notified++;
}

static void run_until(long count)
{
    for (long i = 0; i < 20000 && dispatched < count; i++)
        if (!g_main_context_iteration(NULL, FALSE))
            sleep_ms(1);
}

static GPid child(void)
{
    GPid pid = fork();
    if (!pid)
        _exit(0);
    return pid;
}

static int readable_fd(void)
{
    int ends[2];
    if (pipe(ends) || write(ends[1], "x", 1) != 1)
        abort();
    return ends[0];
}

static gpointer invoke_in_thread(gpointer data)
{
    long way = (long)data;
    set_current(100 + way);
    if (way % 2)
        g_main_context_invoke(NULL, on_source, data);
    else
        g_main_context_invoke_full(NULL, G_PRIORITY_HIGH, on_source, data, on_notify);
    set_current(8);
    return NULL;
}

/* Callback functions of a program's own. */
static void indirect_ref(gpointer data)
{
    ++*(int *)data;
}

static void indirect_unref(gpointer data)
{
    --*(int *)data;
}

static void indirect_get(gpointer data, GSource *source, GSourceFunc *function, gpointer *user_data)
{
    *function = on_source;
    *user_data = (gpointer)19;
}

static GSourceCallbackFuncs indirect = {indirect_ref, indirect_unref, indirect_get};

static gboolean on_closure(gpointer data)
{
    return on_source(data);
}

static void mode_ways(void)
{
    static int counted = 1;
    GIOChannel *channel;
    GSource *source;
    GThread *thread;
    long way = 0;
#define WAY set_current(100 + ++way)
#define D ((gpointer)way)
    WAY, g_idle_add(on_source, D);
    WAY, g_idle_add_full(G_PRIORITY_LOW, on_source, D, on_notify);
    WAY, g_idle_add_once(note, D);
    WAY, g_timeout_add(1, on_source, D);
    WAY, g_timeout_add_full(G_PRIORITY_LOW, 1, on_source, D, on_notify);
    WAY, g_timeout_add_once(1, note, D);
    WAY, g_timeout_add_seconds(0, on_source, D);
    WAY, g_timeout_add_seconds_full(G_PRIORITY_LOW, 0, on_source, D, on_notify);
    WAY, g_child_watch_add(child(), on_child, D);
    WAY, g_child_watch_add_full(G_PRIORITY_LOW, child(), on_child, D, on_notify);
    channel = g_io_channel_unix_new(readable_fd());
    WAY, g_io_add_watch(channel, G_IO_IN, on_io, D);
    WAY, g_io_add_watch_full(channel, G_PRIORITY_LOW, G_IO_IN, on_io, D, on_notify);
    g_io_channel_unref(channel);
    WAY, g_unix_fd_add(readable_fd(), G_IO_IN, on_fd, D);
    WAY, g_unix_fd_add_full(G_PRIORITY_LOW, readable_fd(), G_IO_IN, on_fd, D, on_notify);
    WAY, g_unix_signal_add(SIGUSR1, on_source, D);
    WAY, g_unix_signal_add_full(G_PRIORITY_LOW, SIGHUP, on_source, D, on_notify);
    source = g_idle_source_new();
    WAY, g_source_set_callback(source, on_source, D, on_notify);
    g_source_attach(source, NULL);
    g_source_unref(source);
    source = g_idle_source_new();
    WAY, g_source_set_closure(source, g_cclosure_new(G_CALLBACK(on_closure), D, NULL));
    g_source_attach(source, NULL);
    g_source_unref(source);
    source = g_idle_source_new();
    WAY, g_source_set_callback_indirect(source, &counted, &indirect);
    g_source_attach(source, NULL);
    g_source_unref(source);
    set_current(9);
    /* While the main context is ours, another thread's invoke makes a source. */
    g_main_context_acquire(NULL);
    for (int i = 0; i < 2; i++) {
        way++;
        thread = g_thread_new("invoker", invoke_in_thread, D);
        g_thread_join(thread);
    }
    g_main_context_release(NULL);
    kill(getpid(), SIGUSR1);
    kill(getpid(), SIGHUP);
    run_until(way);
    expect("dispatched", dispatched, way);
    for (long i = 1; i <= way; i++)
        expect("callback sees", saw[i], 100 + i);
    expect("notified", notified, 9);
    expect("counted", counted, 0);
    expect("the loop's thread has", current(), 9);
}

static long ticks[8];

static gboolean on_tick(gpointer data)
{
    long tick = ticks[0]++;
    ticks[1 + tick] = current();
    set_current(current() + 1000);
    return tick < 2;
}

/* What a callback sets is there when it runs the next time, and for nobody else. */
static void mode_keeps(void)
{
    set_current(101);
    g_timeout_add(1, on_tick, NULL);
    set_current(9);
    for (int i = 0; i < 2000 && ticks[0] < 3; i++)
        if (!g_main_context_iteration(NULL, FALSE)) {
            sleep_ms(1);
            expect("between ticks", current(), 9);
        }
    expect("first tick", ticks[1], 101);
    expect("second tick", ticks[2], 1101);
    expect("third tick", ticks[3], 2101);
    expect("the loop's thread has", current(), 9);
}

/* Finding and removing by data. */
/* Before GLib 2.74 there are none; the stand-in of older_glib.h has other data than what it is found by. */
#if GLIB_CHECK_VERSION(2, 74, 0)
#define IDLE_ONCE(data) g_idle_add_once(note, data)
#define TIMEOUT_ONCE(ms, data) g_timeout_add_once(ms, note, data)
#else
#define IDLE_ONCE(data) g_idle_add(on_source, data)
#define TIMEOUT_ONCE(ms, data) g_timeout_add(ms, on_source, data)
#endif

static void mode_find(void)
{
    static char one, two, three, four;
    set_current(101);
    guint id = g_idle_add(on_source, &one);
    IDLE_ONCE(&two);
    g_timeout_add_full(0, 100000, on_source, &three, on_notify);
    g_timeout_add(100000, on_source, &four);
    set_current(9);
    GSource *found = g_main_context_find_source_by_user_data(NULL, &one);
    expect("found by data", found && g_source_get_id(found) == id, 1);
    found = g_main_context_find_source_by_funcs_user_data(NULL, &g_timeout_funcs, &four);
    expect("found by funcs and data", found != NULL, 1);
    expect("removed idle", g_idle_remove_by_data(&one), 1);
    expect("removed once", g_source_remove_by_user_data(&two), 1);
    expect("removed timeout", g_source_remove_by_user_data(&three), 1);
    expect("removed by funcs", g_source_remove_by_funcs_user_data(&g_timeout_funcs, &four), 1);
    expect("nothing left", g_main_context_find_source_by_user_data(NULL, &one) == NULL, 1);
    expect("notified", notified, 1);
    set_current(102);
    g_idle_add(on_source, (gpointer)2);
    set_current(9);
    run_until(1);
    expect("callback sees", saw[2], 102);
}

static GSource *self;

static gboolean on_replaced(gpointer data)
{
    saw[2] = current();
    return G_SOURCE_REMOVE;
}

static gboolean on_replace(gpointer data)
{
    saw[1] = current();
    set_current(202);
    g_source_set_callback(self, on_replaced, NULL, on_notify);
    set_current(203);
    saw[4] = notified; /* the running one is still referenced */
    return G_SOURCE_CONTINUE;
}

static gboolean on_destroy(gpointer data)
{
    g_source_destroy(self);
    saw[3] = current();
    return G_SOURCE_CONTINUE;
}

/* A callback that replaces itself, and one that destroys its source. */
static void mode_replace(void)
{
    self = g_idle_source_new();
    set_current(101);
    g_source_set_callback(self, on_replace, NULL, on_notify);
    g_source_attach(self, NULL);
    set_current(9);
    for (int i = 0; i < 10; i++)
        g_main_context_iteration(NULL, FALSE);
    g_source_unref(self);
    expect("first sees", saw[1], 101);
    expect("replacement sees", saw[2], 202);
    expect("notified in the callback", saw[4], 0);
    expect("notified", notified, 2);
    self = g_idle_source_new();
    set_current(103);
    g_source_set_callback(self, on_destroy, NULL, on_notify);
    g_source_attach(self, NULL);
    set_current(9);
    for (int i = 0; i < 10; i++)
        g_main_context_iteration(NULL, FALSE);
    g_source_unref(self);
    expect("destroyer sees", saw[3], 103);
    expect("notified", notified, 3);
    expect("the loop's thread has", current(), 9);
}

static gboolean on_inner(gpointer data)
{
    saw[2] = current();
    set_current(8000);
    return G_SOURCE_REMOVE;
}

static int depth;

static gboolean on_recursive(gpointer data)
{
    saw[4 + depth] = current();
    if (++depth < 3)
        g_main_context_iteration(NULL, FALSE);
    return G_SOURCE_REMOVE;
}

static gboolean on_outer(gpointer data)
{
    saw[1] = current();
    set_current(202);
    g_idle_add(on_inner, NULL);
    set_current(203);
    while (!saw[2])
        g_main_context_iteration(NULL, FALSE);
    saw[3] = current();
    return G_SOURCE_REMOVE;
}

/* A loop inside a callback, and a source that is dispatched inside its own callback. */
static void mode_nested(void)
{
    set_current(101);
    g_idle_add(on_outer, NULL);
    set_current(9);
    for (int i = 0; i < 10; i++)
        g_main_context_iteration(NULL, FALSE);
    expect("outer sees", saw[1], 101);
    expect("inner sees", saw[2], 202);
    expect("outer has its own back", saw[3], 203);
    self = g_idle_source_new();
    g_source_set_can_recurse(self, TRUE);
    set_current(104);
    g_source_set_callback(self, on_recursive, NULL, on_notify);
    g_source_attach(self, NULL);
    set_current(9);
    g_main_context_iteration(NULL, FALSE);
    g_source_unref(self);
    for (int i = 0; i < 3; i++)
        expect("recursive sees", saw[4 + i], 104);
    expect("notified", notified, 1);
    expect("the loop's thread has", current(), 9);
}

/* A source of the program's own: six arguments, called three times in one dispatch. */
typedef gint64 (*wide_function)(gpointer a, gint64 b, gint c, const char *d, gint64 e, gpointer data);
static gint64 answers;

static gboolean wide_prepare(GSource *source, gint *timeout)
{
    *timeout = 0;
    return TRUE;
}

static gboolean wide_dispatch(GSource *source, GSourceFunc callback, gpointer data)
{
    wide_function function = (wide_function)(gpointer)callback;
    for (long i = 0; i < 3; i++)
        answers += function((gpointer)1, G_GINT64_CONSTANT(1) << 40, -3, "d", i, data);
    return G_SOURCE_REMOVE;
}

static GSourceFuncs wide_funcs = {wide_prepare, NULL, wide_dispatch, NULL, NULL, NULL};

static gint64 on_wide(gpointer a, gint64 b, gint c, const char *d, gint64 e, gpointer data)
{
    if (a == (gpointer)1 && b == G_GINT64_CONSTANT(1) << 40 && c == -3 && *d == 'd' && data == &answers)
        saw[e] = current();
    if (e == 0) {
        g_source_destroy(self);
        g_idle_add(on_source, NULL); /* a dispatch inside this one, which goes on */
        g_main_context_iteration(NULL, FALSE);
    }
    return b;
}

static void mode_wide(void)
{
    self = g_source_new(&wide_funcs, sizeof(GSource));
    set_current(101);
    g_source_set_callback(self, (GSourceFunc)(gpointer)on_wide, &answers, on_notify);
    g_source_attach(self, NULL);
    set_current(9);
    g_main_context_iteration(NULL, FALSE);
    g_source_unref(self);
    for (int i = 0; i < 3; i++)
        expect("wide callback sees", saw[i], 101);
    expect("answers", answers == 3 * (G_GINT64_CONSTANT(1) << 40), 1);
    expect("notified", notified, 1);
}

/* Sources that never run. */
static void mode_dropped(void)
{
    GMainContext *context = g_main_context_new();
    GSource *source;
    set_current(101);
    guint id = g_idle_add_full(0, on_source, NULL, on_notify);
    TIMEOUT_ONCE(100000, NULL);
    source = g_idle_source_new();
    g_source_set_callback(source, on_source, NULL, on_notify);
    g_source_attach(source, context);
    g_source_unref(source);
    source = g_idle_source_new();
    g_source_set_callback(source, on_source, NULL, on_notify);
    g_source_set_callback(source, on_source, NULL, on_notify);
    g_source_unref(source); /* never attached */
    source = g_idle_source_new();
    g_source_set_callback(source, NULL, NULL, NULL);
    g_source_unref(source);
    set_current(9);
    expect("removed", g_source_remove(id), 1);
    expect("removed", g_source_remove_by_user_data(NULL), 1);
    g_main_context_unref(context);
    expect("notified", notified, 4);
    expect("dispatched", dispatched, 0);
    set_current(102);
    g_idle_add(on_source, (gpointer)1);
    set_current(9);
    run_until(1);
    expect("callback sees", saw[1], 102);
}

static struct gate inside = GATE_CLOSED;

static gboolean on_slow(gpointer data)
{
    gate_wait(&inside);
    saw[1] = current();
    return G_SOURCE_CONTINUE;
}

static gpointer destroy_running(gpointer data)
{
    gate_await(&inside, 1);
    g_source_destroy(data);
    gate_open(&inside);
    return NULL;
}

/* Another thread destroys the source while its callback runs; a hundred times. */
static void mode_destroy_elsewhere(void)
{
    for (int i = 1; i <= 100; i++) {
        inside.arrived = inside.open = 0;
        GSource *source = g_idle_source_new();
        set_current(100 + i);
        g_source_set_callback(source, on_slow, NULL, on_notify);
        g_source_attach(source, NULL);
        set_current(9);
        GThread *thread = g_thread_new("destroyer", destroy_running, source);
        g_main_context_iteration(NULL, FALSE);
        g_thread_join(thread);
        g_source_unref(source);
        if (saw[1] != 100 + i || notified != i)
            expect("round sees", saw[1], 100 + i), expect("notified", notified, i);
    }
    expect("notified", notified, 100);
    expect("the loop's thread has", current(), 9);
}

enum { RACES = 4000 };
struct race {
    GSource *source;
    atomic_long is_ready, is_inside, is_destroyed, notified;
};
static struct race races[RACES];
static atomic_long race_early, race_is_over;
static long race_wrong;

static gboolean on_race(gpointer data)
{
    struct race *race = data;
    race->is_inside = 1;
    race_wrong += current() != 1000 + (race - races);
    race->is_inside = 0;
    return G_SOURCE_CONTINUE;
}

static void on_race_over(gpointer data)
{
    struct race *race = data;
    race_early += race->is_inside;
    race->notified++;
}

static gpointer destroy_at_any_moment(gpointer data)
{
    unsigned random = 1;
    for (struct race *race = races; race < races + RACES; race++) {
        for (unsigned turns = 1; !race->is_ready; turns++) {
            if (race_is_over)
                return NULL;
            if (turns % 1024 == 0)
                g_thread_yield();
        }
        random = random * 1103515245 + 12345;
        for (volatile unsigned spin = random >> 16 & 1023; spin; spin--)
            ;
        g_source_destroy(race->source);
        race->is_destroyed = 1;
    }
    return NULL;
}

/*
 * Another thread destroys the source at any moment of its dispatch, 4,000 times, or for five seconds
 * where there is one processor. The program hears of it exactly once, not while the callback runs, and
 * without the loop having to turn once more.
 */
static void mode_race(void)
{
    GMainContext *context = g_main_context_new();
    GThread *thread = g_thread_new("destroyer", destroy_at_any_moment, NULL);
    gint64 end = g_get_monotonic_time() + 5 * G_TIME_SPAN_SECOND;
    struct race *race = races;
    long late = 0, often = 0;
    for (; race < races + RACES && g_get_monotonic_time() < end; race++) {
        race->source = g_idle_source_new();
        set_current(1000 + (race - races));
        g_source_set_callback(race->source, on_race, race, on_race_over);
        g_source_attach(race->source, context);
        set_current(9);
        race->is_ready = 1;
        for (unsigned turns = 1; !race->is_destroyed; turns++) {
            g_main_context_iteration(context, FALSE);
            if (turns % 256 == 0)
                g_thread_yield();
        }
        for (int i = 0; i < 20000 && !race->notified; i++)
            sleep_ms(1);
        late += !race->notified;
        g_source_unref(race->source);
    }
    race_is_over = 1;
    g_thread_join(thread);
    g_main_context_unref(context);
    printf("rounds %d\n", (int)(race - races));
    while (race-- > races)
        often += race->notified != 1;
    expect("wrong values", race_wrong, 0);
    expect("not notified in twenty seconds", late, 0);
    expect("notified while it ran", race_early, 0);
    expect("not notified once", often, 0);
    expect("the loop's thread has", current(), 9);
}

enum { ADDERS = 4, ADDED = 5000 };
static long storm_right, storm_all;

static gboolean on_storm(gpointer data)
{
    storm_right += current() == (long)data;
    set_current(1);
    storm_all++;
    return G_SOURCE_REMOVE;
}

static gpointer add_many(gpointer data)
{
    for (long i = 1; i <= ADDED; i++) {
        long value = (long)data * ADDED + i;
        set_current(value);
        g_idle_add_full(G_PRIORITY_DEFAULT, on_storm, (gpointer)value, on_notify);
    }
    return NULL;
}

static void mode_storm(void)
{
    GThread *threads[ADDERS];
    for (long i = 0; i < ADDERS; i++)
        threads[i] = g_thread_new("adder", add_many, (gpointer)(i + 1));
    while (storm_all < ADDERS * ADDED)
        g_main_context_iteration(NULL, TRUE);
    for (int i = 0; i < ADDERS; i++)
        g_thread_join(threads[i]);
    expect("right", storm_right, ADDERS * ADDED);
    expect("notified", notified, ADDERS * ADDED);
    expect("the loop's thread has", current(), 0);
}

static gboolean on_chain(gpointer data)
{
    long left = (long)data;
    saw[left] = current();
    if (left > 1)
        g_idle_add(on_chain, (gpointer)(left - 1));
    dispatched++;
    return G_SOURCE_REMOVE;
}

/* A chain: each callback registers the next one. */
static void mode_chain(void)
{
    set_current(101);
    g_idle_add(on_chain, (gpointer)10);
    set_current(0);
    run_until(10);
    for (long i = 10; i >= 1; i--)
        expect("link sees", saw[i], 101);
}

/* Wrong arguments are GLib's to refuse. */
static void mode_wrong(void)
{
    set_current(101);
    printf("ids %u %u %u\n", g_idle_add(NULL, NULL), g_child_watch_add(-1, on_child, NULL),
           g_unix_signal_add(SIGKILL, on_source, NULL));
    g_idle_add(on_source, (gpointer)1);
    set_current(9);
    run_until(1);
    expect("callback sees", saw[1], 101);
}

static gboolean on_old_tick(gpointer data)
{
    printf("tick %ld sees %ld\n", ++ticks[0], current());
    set_current(current() + 1000);
    return ticks[0] < 6;
}

/* Six ticks, 30 ms apart, each starting from what the last one has left. */
static void mode_ages(void)
{
    set_current(101);
    g_timeout_add(30, on_old_tick, NULL);
    set_current(9);
    while (ticks[0] < 6)
        g_main_context_iteration(NULL, TRUE);
    expect("the loop's thread has", current(), 9);
}

static const struct {
    const char *name;
    void (*run)(void);
} modes[] = {
    {"ways", mode_ways},       {"keeps", mode_keeps},     {"find", mode_find},
    {"replace", mode_replace}, {"nested", mode_nested},   {"wide", mode_wide},
    {"dropped", mode_dropped}, {"storm", mode_storm},     {"destroy_elsewhere", mode_destroy_elsewhere},
    {"chain", mode_chain},     {"wrong", mode_wrong},     {"ages", mode_ages},
    {"race", mode_race},
};

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
