/*
 * libev: a watcher's callback runs in the context of the call that started it.
 *
 * The callback lies in the program's own watcher (ev_init is a macro): starting a watcher exchanges it
 * for ours, stopping it puts it back. What belongs to a watcher is in a table by its address, from
 * start to stop; a watcher that libev stops itself, because it fires once, is put back by the
 * callback, before the program's.
 *
 * Source of the behaviour: libev 4.33. Starting an active watcher does nothing. libev calls its own
 * stop functions through the procedure linkage table. Watchers belong to their loop's thread. An
 * ev_async has the context of ev_async_start, because ev_async_send may come from signal handlers.
 * Programs that compile ev.c into themselves are not reached. ev_loop_destroy runs the cleanup watchers and
 * drops all others, and what ev_once has started, without a word: they stay active and must be made anew.
 */
#include "base/map.h"
#include "families/handoff.h"
#include "interpose/reentry.h"
#include "families/registration.h"

typedef void watcher_callback(struct ev_loop *loop, void *watcher, int events);

/* The head of every watcher, and what follows in timers (ev.h; compared by the prototypes test). */
struct watcher {
    int active, pending, priority;
    void *data;
    watcher_callback *callback;
    double at, registration;
};

static struct library_place ev_place;
static struct map watchers; /* to their registrations, whose `more` is the loop */
static struct map onces;    /* the slab objects of ev_once, to their loops */

#define IS_REENTRANT(name) \
    caller_is_reentrant(&ev_place, (void *)REAL(name), __builtin_return_address(0))
/* ev_stat has a timer of libev's own. */
#define IS_OWN(name, watcher) \
    caller_is_reentrant(&ev_place, (void *)REAL(name), (void *)(watcher)->callback)

/* In a call of ev_*_again, which may go on to a start function by a jump. */
static __thread bool is_in_again;

static void put_back(struct watcher *watcher, struct registration *registration);

static GUARDED void run_watcher(struct ev_loop *loop, void *any, int events)
{
    GUARDED_REGISTRATION_FRAME();
    struct watcher *watcher = any;
    struct registration *registration = map_find(&watchers, watcher);
    watcher_callback *callback;
    struct context *context;

    if (unlikely(!registration))
        return; /* a copy of an active watcher: libev forbids it */
    callback = (watcher_callback *)registration->function;
    if (watcher->active) {
        REGISTRATION_RUN(registration, callback(loop, watcher, events));
        return;
    }
    /* Stopped by libev: this is the last time. */
    context = registration_borrow(registration);
    map_take(&watchers, watcher);
    put_back(watcher, registration);
    if (context)
        SCOPE_RUN(context, FRAME_OWNED, callback(loop, watcher, events));
    else
        callback(loop, watcher, events);
}

static void put_back(struct watcher *watcher, struct registration *registration)
{
    if (watcher->callback == run_watcher)
        watcher->callback = (watcher_callback *)registration->function;
    registration_end(registration);
}

/* Before the real start, which cannot fail. */
static void start(struct ev_loop *loop, struct watcher *watcher, bool is_once)
{
    struct registration *registration = map_find(&watchers, watcher);
    uint8_t flags;
    struct context *context = registration_capture(FAMILY_LIBEV, is_once, &flags);

    if (!registration) {
        if (!context && !(flags & REGISTRATION_BARE))
            return;
        registration = registration_new(FAMILY_LIBEV, NULL, NULL);
        if (!registration || !map_put(&watchers, watcher, registration, NULL)) {
            if (registration)
                slab_free(registration);
            if (context)
                context_rollback(FAMILY_LIBEV, context);
            context_count_bare(FAMILY_LIBEV, BARE_MEMORY);
            return;
        }
    }
    if (watcher->callback != run_watcher) {
        registration->function = (void *)watcher->callback;
        watcher->callback = run_watcher;
    }
    registration->more = loop;
    registration_arm(registration, context, flags);
}

/* After the real stop. */
static void stop(struct watcher *watcher)
{
    struct registration *registration = map_take(&watchers, watcher);

    if (registration)
        put_back(watcher, registration);
}

#define START(name, kind, is_once)                                                          \
    void hook_##name(struct ev_loop *loop, struct kind *any)                                \
    {                                                                                       \
        struct watcher *watcher = (struct watcher *)(void *)any;                            \
                                                                                            \
        if (!watcher->active && watcher->callback && !is_in_again && !IS_REENTRANT(name) && \
            !IS_OWN(name, watcher))                                                         \
            start(loop, watcher, is_once);                                                  \
        REAL(name)(loop, any);                                                              \
    }

#define STOP(name, kind)                                     \
    void hook_##name(struct ev_loop *loop, struct kind *any) \
    {                                                        \
        bool is_reentrant = IS_REENTRANT(name);              \
                                                             \
        REAL(name)(loop, any);                               \
        if (!is_reentrant)                                   \
            stop((struct watcher *)(void *)any);             \
    }

#define BOTH(kind)                   \
    START(kind##_start, kind, false) \
    STOP(kind##_stop, kind)

START(ev_timer_start, ev_timer, watcher->registration == 0)
STOP(ev_timer_stop, ev_timer)
BOTH(ev_io)
BOTH(ev_periodic)
BOTH(ev_signal)
BOTH(ev_child)
BOTH(ev_stat)
BOTH(ev_idle)
BOTH(ev_prepare)
BOTH(ev_check)
BOTH(ev_fork)
BOTH(ev_cleanup)
BOTH(ev_async)

/* Starts a repeating timer, or starts it anew; stops one that does not repeat. */
void hook_ev_timer_again(struct ev_loop *loop, struct ev_timer *timer)
{
    struct watcher *watcher = (struct watcher *)(void *)timer;
    bool is_reentrant = IS_REENTRANT(ev_timer_again);

    if (!is_reentrant && watcher->registration != 0 && watcher->callback &&
        !IS_OWN(ev_timer_again, watcher))
        start(loop, watcher, false);
    is_in_again = true;
    REAL(ev_timer_again)(loop, timer);
    is_in_again = false;
    if (!is_reentrant && !watcher->active)
        stop(watcher);
}

void hook_ev_periodic_again(struct ev_loop *loop, struct ev_periodic *periodic)
{
    struct watcher *watcher = (struct watcher *)(void *)periodic;

    if (watcher->callback && !IS_REENTRANT(ev_periodic_again))
        start(loop, watcher, false);
    is_in_again = true;
    REAL(ev_periodic_again)(loop, periodic);
    is_in_again = false;
}

/* ---- once ---- */

typedef void once_callback(int events, void *arg);

static GUARDED void run_once(int events, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct record *object = arg;
    struct record record = *object;

    map_take(&onces, object);
    slab_free(object);
    SCOPE_RUN(record.context, FRAME_OWNED, ((once_callback *)record.function)(events, record.data));
}

void hook_ev_once(struct ev_loop *loop, int fd, int events, double timeout, once_callback *callback,
                  void *arg)
{
    struct record *object = callback ? slab_new() : NULL;
    struct context *context = object ? context_capture(FAMILY_LIBEV) : NULL;

    if (!context) {
        if (object)
            slab_free(object);
        REAL(ev_once)(loop, fd, events, timeout, callback, arg);
        return;
    }
    *object = (struct record){(void *)callback, arg, context};
    map_put(&onces, object, loop, NULL); /* no memory: it stays if its loop is destroyed */
    REAL(ev_once)(loop, fd, events, timeout, run_once, object);
}

/* ---- the end of a loop ---- */

static bool is_watcher_of(const struct map_entry *entry, const void *loop)
{
    return ((const struct registration *)entry->value)->more == loop;
}

static bool is_once_of(const struct map_entry *entry, const void *loop)
{
    return entry->value == loop;
}

/* The watchers' memory is not touched: it may be gone. */
void hook_ev_loop_destroy(struct ev_loop *loop)
{
    const void *keys[64];
    size_t count;

    REAL(ev_loop_destroy)(loop);
    if (!loop)
        return;
    while ((count = map_keys(&watchers, is_watcher_of, loop, keys, 64))) {
        while (count) {
            struct registration *registration = map_take(&watchers, keys[--count]);

            if (registration)
                registration_end(registration);
        }
    }
    while ((count = map_keys(&onces, is_once_of, loop, keys, 64))) {
        while (count) {
            struct record *object = (struct record *)keys[--count];

            if (map_take(&onces, object)) {
                context_release(object->context);
                slab_free(object);
            }
        }
    }
}
