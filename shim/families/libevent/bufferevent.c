/*
 * libevent: bufferevents and listeners. Their callbacks run again and again, in the context of the
 * call that set them.
 *
 * A bufferevent gets our callbacks with a registration as argument, found again by bufferevent_getcb; a
 * listener has no such question, so there is a table. libevent sets callbacks of its own (filters,
 * TLS, HTTP) through the same functions.
 *
 * Source of the behaviour: libevent 2.1.12. Callbacks and the functions that set them hold the
 * object's lock, so when a setter has returned no callback of before it runs in another thread.
 * A callback may set, or free the object, itself.
 */
#include "base/map.h"
#include "families/libevent/libevent.h"

/* ---- bufferevents ---- */

typedef void data_callback(struct bufferevent *buffer, void *arg);
typedef void end_callback(struct bufferevent *buffer, short what, void *arg);

/* What does not fit into a registration, which has the read callback. */
struct others {
    data_callback *write;
    end_callback *event;
};

static GUARDED void run_read(struct bufferevent *buffer, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    data_callback *callback = (data_callback *)registration->function;
    void *data = registration->data;

    REGISTRATION_RUN(registration, callback(buffer, data));
}

static GUARDED void run_write(struct bufferevent *buffer, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    data_callback *callback = ((struct others *)registration->more)->write;
    void *data = registration->data;

    REGISTRATION_RUN(registration, callback(buffer, data));
}

static GUARDED void run_event(struct bufferevent *buffer, short what, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    end_callback *callback = ((struct others *)registration->more)->event;
    void *data = registration->data;

    REGISTRATION_RUN(registration, callback(buffer, what, data));
}

/* NULL: its callbacks are somebody else's. */
static struct registration *registration_of(struct bufferevent *buffer, const void *caller)
{
    REAL_TYPE(bufferevent_getcb)
    get = NEXT(REAL_TYPE(bufferevent_getcb), "bufferevent_getcb", caller);
    data_callback *read = NULL, *write = NULL;
    end_callback *event = NULL;
    void *arg = NULL;

    if (!get || !buffer)
        return NULL;
    get(buffer, &read, &write, &event, &arg);
    return read == run_read || write == run_write || event == run_event ? arg : NULL;
}

static struct registration *new_buffer(data_callback *read, data_callback *write,
                                       end_callback *event, void *arg)
{
    struct others others = {write, event};

    return registration_new_wide(FAMILY_LIBEVENT, (void *)read, arg, false, &others, sizeof others);
}

void hook_bufferevent_setcb(struct bufferevent *buffer, data_callback *read, data_callback *write,
                            end_callback *event, void *arg)
{
    struct registration *old = registration_of(buffer, __builtin_return_address(0)),
                        *registration = NULL;

    if (buffer && (read || write || event) && !IS_REENTRANT(bufferevent_setcb))
        registration = new_buffer(read, write, event, arg);
    if (registration)
        /* clang-format off */
        REAL(bufferevent_setcb)(buffer, read ? run_read : NULL, write ? run_write : NULL,
                                event ? run_event : NULL, registration);
    /* clang-format on */
    else
        REAL(bufferevent_setcb)(buffer, read, write, event, arg);
    if (old)
        registration_end_wide(old);
}

/* It sets the callbacks from inside libevent. */
struct bufferevent *hook_bufferevent_new(int fd, data_callback *read, data_callback *write,
                                         end_callback *event, void *arg)
{
    struct registration *registration = NULL;
    struct bufferevent *buffer;

    if (!IS_REENTRANT(bufferevent_new) && (read || write || event))
        registration = new_buffer(read, write, event, arg);
    if (!registration)
        return REAL(bufferevent_new)(fd, read, write, event, arg);
    buffer = REAL(bufferevent_new)(fd, read ? run_read : NULL, write ? run_write : NULL,
                                   event ? run_event : NULL, registration);
    if (!buffer) {
        registration_rollback(registration);
        registration_end_wide(registration);
    }
    return buffer;
}

void hook_bufferevent_getcb(struct bufferevent *buffer, data_callback **read, data_callback **write,
                            end_callback **event, void **arg)
{
    struct registration *registration = registration_of(buffer, __builtin_return_address(0));

    REAL(bufferevent_getcb)(buffer, read, write, event, arg);
    if (!registration)
        return;
    if (read)
        *read = (data_callback *)registration->function;
    if (write)
        *write = ((struct others *)registration->more)->write;
    if (event)
        *event = ((struct others *)registration->more)->event;
    if (arg)
        *arg = registration->data;
}

/* Also of one that libevent frees, which may be the program's: it unsets the callbacks first, as here. */
void hook_bufferevent_free(struct bufferevent *buffer)
{
    struct registration *registration = registration_of(buffer, __builtin_return_address(0));

    if (registration) {
        REAL(bufferevent_setcb)(buffer, NULL, NULL, NULL, NULL);
        registration_end_wide(registration);
    }
    REAL(bufferevent_free)(buffer);
}

/* ---- listeners ---- */

typedef void accept_callback(struct evconnlistener *listener, int fd, struct sockaddr *address,
                             int length, void *arg);
typedef void error_callback(struct evconnlistener *listener, void *arg);

static struct map listeners;

static GUARDED void run_accept(struct evconnlistener *listener, int fd, struct sockaddr *address,
                               int length, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    accept_callback *callback = (accept_callback *)registration->function;
    void *data = registration->data;

    REGISTRATION_RUN(registration, callback(listener, fd, address, length, data));
}

static GUARDED void run_error(struct evconnlistener *listener, void *arg)
{
    GUARDED_REGISTRATION_FRAME();
    struct registration *registration = arg;
    error_callback *callback = (error_callback *)registration->more;
    void *data = registration->data;

    REGISTRATION_RUN(registration, callback(listener, data));
}

static struct registration *new_listener(accept_callback *callback, void *arg)
{
    struct registration *registration;

    if (callback)
        return registration_new_armed(FAMILY_LIBEVENT, (void *)callback, arg, false);
    registration =
        registration_new(FAMILY_LIBEVENT, NULL, arg); /* evconnlistener_set_cb will arm it */
    if (registration)
        registration->flags = REGISTRATION_BARE;
    return registration;
}

/* The listener is there, or could not be made. */
static struct evconnlistener *made(struct evconnlistener *listener,
                                   struct registration *registration)
{
    if (!listener) {
        registration_rollback(registration);
        registration_end(registration);
    } else if (!map_put(&listeners, listener, registration, NULL)) {
        /* Not to be found again: it keeps its registration for good, rather than lose its callback. */
        context_count_bare(FAMILY_LIBEVENT, BARE_MEMORY);
    }
    return listener;
}

struct evconnlistener *hook_evconnlistener_new(struct event_base *base, accept_callback *callback,
                                               void *arg, unsigned flags, int backlog, int fd)
{
    struct registration *registration = NULL;

    if (callback != run_accept && !IS_REENTRANT(evconnlistener_new))
        registration = new_listener(callback, arg);
    if (!registration)
        return REAL(evconnlistener_new)(base, callback, arg, flags, backlog, fd);
    return made(REAL(evconnlistener_new)(base, callback ? run_accept : NULL, registration, flags,
                                         backlog, fd),
                registration);
}

struct evconnlistener *hook_evconnlistener_new_bind(struct event_base *base,
                                                    accept_callback *callback, void *arg,
                                                    unsigned flags, int backlog,
                                                    const struct sockaddr *address, int length)
{
    struct registration *registration = NULL;

    if (!IS_REENTRANT(evconnlistener_new_bind))
        registration = new_listener(callback, arg);
    if (!registration)
        return REAL(evconnlistener_new_bind)(base, callback, arg, flags, backlog, address, length);
    return made(REAL(evconnlistener_new_bind)(base, callback ? run_accept : NULL, registration,
                                              flags, backlog, address, length),
                registration);
}

/* evhttp_bind_listener makes the program's listener its own. */
static void lose(struct evconnlistener *listener, struct registration *registration,
                 accept_callback *callback, void *arg)
{
    map_take(&listeners, listener);
    REAL_FOR(evconnlistener_set_cb, callback)(listener, callback, arg);
    if (registration->more)
        REAL_FOR(evconnlistener_set_error_cb, callback)
    (listener, (error_callback *)registration->more);
    registration_end(registration);
}

/* The error callback gets the same argument. */
void hook_evconnlistener_set_cb(struct evconnlistener *listener, accept_callback *callback,
                                void *arg)
{
    struct registration *registration = map_find(&listeners, listener);
    uint8_t flags;
    struct context *context;

    if (!registration) {
        REAL(evconnlistener_set_cb)(listener, callback, arg);
        return;
    }
    if (IS_REENTRANT(evconnlistener_set_cb)) {
        lose(listener, registration, callback, arg);
        return;
    }
    context = registration_capture(FAMILY_LIBEVENT, false, &flags);
    REAL(evconnlistener_set_cb)(listener, NULL, registration); /* nothing runs while it changes */
    registration->function = (void *)callback;
    registration->data = arg;
    registration_arm(registration, context, flags);
    if (callback)
        REAL(evconnlistener_set_cb)(listener, run_accept, registration);
}

void hook_evconnlistener_set_error_cb(struct evconnlistener *listener, error_callback *callback)
{
    struct registration *registration =
        IS_REENTRANT(evconnlistener_set_error_cb) ? NULL : map_find(&listeners, listener);

    if (registration) {
        registration->more = (void *)callback;
        callback = callback ? run_error : NULL;
    }
    REAL(evconnlistener_set_error_cb)(listener, callback);
}

void hook_evconnlistener_free(struct evconnlistener *listener)
{
    struct registration *registration = map_take(&listeners, listener);

    REAL(evconnlistener_free)(listener);
    if (registration)
        registration_end(registration);
}
