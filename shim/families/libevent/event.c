/*
 * libevent: events. A callback runs in the context of the event_add that made its event pending, or of
 * the event_active that made it active.
 *
 * An event gets our callback with a registration as its argument, so neither adding nor firing one needs a
 * look-up; what tells callback and argument to the program is unwrapped. A registration lives as long as
 * its event: to event_free, or for events in the program's own memory to the next event_assign there
 * or event_debug_unassign (a table by address; such memory is freed without a word).
 *
 * Source of the behaviour: libevent 2.1.12. event_base_free drops what event_base_once queued. libev
 * exports some of these names too, without event_get_callback_arg: then everything passes through.
 */
#include "base/map.h"
#include "families/libevent/libevent.h"
#include "interpose/versions.h"

static struct map assigned; /* events in the program's memory */

bool libevent_is_reentrant(const void *real, const void *address)
{
    static struct library_place place;
    /* A program may have libevent in parts, which call each other. */
    static struct library_named parts[] = {
        {.name = "libevent_core"}, {.name = "libevent_extra"}, {.name = "libevent_openssl"}};

    if (caller_is_reentrant(&place, real, address))
        return true;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        if (address_is_of(&parts[i], address))
            return true;
    return false;
}

/* evthread_use_pthreads and every other way to have threads end here, before there are any. */
int hook_evthread_set_lock_callbacks(const struct evthread_lock_callbacks *callbacks)
{
    if (callbacks) {
        atomic_store(&libevent_is_threaded, true);
        atomic_store(&libevent_is_quick, 0);
    }
    return REAL(evthread_set_lock_callbacks)(callbacks);
}

/* ---- making and freeing ---- */

/* Threads are there before the first base: an event that was made without them is used without. */
static event_callback *our_callback(void)
{
    return atomic_load_explicit(&libevent_is_threaded, memory_order_relaxed) ? libevent_run_threaded
                                                                             : libevent_run;
}

static struct registration *new_registration(event_callback *callback, void *arg, short events,
                                             const void *caller)
{
    struct registration *registration = NULL;

    if (NEXT(void *(*)(const struct event *), "event_get_callback_arg", caller))
        registration = registration_new(FAMILY_LIBEVENT, (void *)callback, arg);
    if (unlikely(!libevent_is_quick && !atomic_load(&libevent_is_threaded))) {
        unsigned version = NEXT(unsigned (*)(void), "event_get_version_number", caller)();

        libevent_is_quick = version_is_read(VERSION_LIBEVENT, version);
    }
    if (registration) {
        registration->number = (uint16_t)events;
        registration->flags = events & EVENT_PERSIST ? 0 : REGISTRATION_ONCE;
    }
    return registration;
}

static bool is_self(const void *arg, const void *caller)
{
    void *(*self)(void) = NEXT(void *(*)(void), "event_self_cbarg", caller);

    return self && arg == self();
}

struct event *hook_event_new(struct event_base *base, int fd, short events,
                             event_callback *callback, void *arg)
{
    const void *caller = __builtin_return_address(0);
    struct registration *registration = NULL;
    struct event *event;

    if (callback && !IS_REENTRANT(event_new))
        registration = new_registration(callback, arg, events, caller);
    if (!registration)
        return REAL(event_new)(base, fd, events, callback, arg);
    event = REAL(event_new)(base, fd, events, our_callback(), registration);
    if (!event)
        slab_free(registration);
    else if (unlikely(is_self(arg, caller)))
        registration->data = event;
    return event;
}

/* What an event in the program's memory gets: the registration that was there before, if it was an event. */
static struct registration *assign(struct event *event, event_callback *callback, void *arg,
                                   short events, const void *caller)
{
    struct registration *registration =
        new_registration(callback, unlikely(is_self(arg, caller)) ? event : arg, events, caller);
    void *old;

    if (!registration)
        return NULL;
    if (!map_put(&assigned, event, registration, &old)) {
        slab_free(registration);
        return NULL;
    }
    if (old)
        libevent_end(old);
    return registration;
}

static void unassign(struct event *event)
{
    struct registration *registration = map_take(&assigned, event);

    if (registration)
        libevent_end(registration);
}

int hook_event_assign(struct event *event, struct event_base *base, int fd, short events,
                      event_callback *callback, void *arg)
{
    struct registration *registration = NULL;
    int error;

    if (libevent_is_ours(callback) || IS_REENTRANT(event_assign))
        return REAL(event_assign)(event, base, fd, events, callback, arg);
    if (callback)
        registration = assign(event, callback, arg, events, __builtin_return_address(0));
    if (!registration) {
        unassign(event);
        return REAL(event_assign)(event, base, fd, events, callback, arg);
    }
    error = REAL(event_assign)(event, base, fd, events, our_callback(), registration);
    if (error)
        unassign(event);
    return error;
}

void hook_event_set(struct event *event, int fd, short events, event_callback *callback, void *arg)
{
    struct registration *registration = NULL;

    if (!libevent_is_ours(callback) && !IS_REENTRANT(event_set)) {
        if (callback)
            registration = assign(event, callback, arg, events, __builtin_return_address(0));
        if (!registration)
            unassign(event);
    }
    if (registration)
        REAL(event_set)(event, fd, events, our_callback(), registration);
    else
        REAL(event_set)(event, fd, events, callback, arg);
}

void hook_event_debug_unassign(struct event *event)
{
    if (!IS_REENTRANT(event_debug_unassign))
        unassign(event);
    REAL(event_debug_unassign)(event);
}

/* Waits for a callback that runs in another thread; when this is the callback, the run frees. */
void hook_event_free(struct event *event)
{
    struct registration *registration =
        event && !IS_REENTRANT(event_free)
            ? libevent_registration_of(event, __builtin_return_address(0))
            : NULL;

    REAL(event_free)(event);
    if (registration)
        libevent_end(registration);
}

/* The finalizer is told the event's argument; no other callback comes any more. */
typedef void finalizer(struct event *event, void *arg);

static void run_finalizer(struct event *event, void *arg)
{
    struct registration *registration = arg;
    finalizer *function = (finalizer *)registration->function;
    void *data = registration->data;

    if (map_find(&assigned, event) == registration)
        map_take(&assigned, event);
    libevent_end(registration);
    if (function)
        function(event, data);
}

int hook_event_finalize(unsigned flags, struct event *event, finalizer *function)
{
    struct registration *registration =
        IS_REENTRANT(event_finalize) ? NULL
                                     : libevent_registration_of(event, __builtin_return_address(0));

    if (!registration)
        return REAL(event_finalize)(flags, event, function);
    libevent_disarm(registration);
    registration->function = (void *)function;
    return REAL(event_finalize)(flags, event, run_finalizer);
}

int hook_event_free_finalize(unsigned flags, struct event *event, finalizer *function)
{
    struct registration *registration =
        IS_REENTRANT(event_free_finalize)
            ? NULL
            : libevent_registration_of(event, __builtin_return_address(0));

    if (!registration)
        return REAL(event_free_finalize)(flags, event, function);
    libevent_disarm(registration);
    registration->function = (void *)function;
    return REAL(event_free_finalize)(flags, event, run_finalizer);
}

/* ---- asking ---- */

event_callback *hook_event_get_callback(const struct event *event)
{
    event_callback *callback = REAL(event_get_callback)(event);

    if (!libevent_is_ours(callback))
        return callback;
    return (event_callback *)libevent_registration_of(event, __builtin_return_address(0))->function;
}

void *hook_event_get_callback_arg(const struct event *event)
{
    struct registration *registration =
        libevent_registration_of(event, __builtin_return_address(0));

    return registration ? registration->data : REAL(event_get_callback_arg)(event);
}

void hook_event_get_assignment(const struct event *event, struct event_base **base, int *fd,
                               short *events, event_callback **callback, void **arg)
{
    struct registration *registration =
        libevent_registration_of(event, __builtin_return_address(0));

    REAL(event_get_assignment)(event, base, fd, events, callback, arg);
    if (registration && callback)
        *callback = (event_callback *)registration->function;
    if (registration && arg)
        *arg = registration->data;
}
