/*
 * libevent: bufferevents and listeners. Their callbacks run again and again, in the context of the
 * call that set them.
 *
 * A bufferevent gets our callbacks with a repeat as argument, found again by bufferevent_getcb; a
 * listener has no such question, so there is a table. libevent sets callbacks of its own (filters,
 * TLS, HTTP) through the same functions.
 *
 * Source of the behaviour: libevent 2.1.12. Callbacks and the functions that set them hold the
 * object's lock, so when a setter has returned no callback of before it runs in another thread.
 * A callback may set, or free the object, itself.
 */
#include "base/map.h"
#include "handoffs/libevent.h"

/* ---- bufferevents ---- */

typedef void data_callback(struct bufferevent *buffer, void *arg);
typedef void end_callback(struct bufferevent *buffer, short what, void *arg);

/* What does not fit into a repeat, which has the read callback. */
struct others {
    data_callback *write;
    end_callback *event;
};

static GUARDED void run_read(struct bufferevent *buffer, void *arg)
{
    GUARDED_FRAME();
    struct repeat *repeat = arg;
    data_callback *callback = (data_callback *)repeat->function;
    void *data = repeat->data;

    REPEAT_RUN(repeat, callback(buffer, data));
}

static GUARDED void run_write(struct bufferevent *buffer, void *arg)
{
    GUARDED_FRAME();
    struct repeat *repeat = arg;
    data_callback *callback = ((struct others *)repeat->more)->write;
    void *data = repeat->data;

    REPEAT_RUN(repeat, callback(buffer, data));
}

static GUARDED void run_event(struct bufferevent *buffer, short what, void *arg)
{
    GUARDED_FRAME();
    struct repeat *repeat = arg;
    end_callback *callback = ((struct others *)repeat->more)->event;
    void *data = repeat->data;

    REPEAT_RUN(repeat, callback(buffer, what, data));
}

/* NULL: its callbacks are somebody else's. */
static struct repeat *repeat_of(struct bufferevent *buffer, const void *caller)
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

static struct repeat *new_buffer(data_callback *read, data_callback *write, end_callback *event,
                                 void *arg)
{
    struct others others = {write, event};

    return repeat_new_wide(FAMILY_LIBEVENT, (void *)read, arg, false, &others, sizeof others);
}

void hook_bufferevent_setcb(struct bufferevent *buffer, data_callback *read, data_callback *write,
                            end_callback *event, void *arg)
{
    struct repeat *old = repeat_of(buffer, __builtin_return_address(0)), *repeat = NULL;

    if (buffer && (read || write || event) && !IS_INSIDE(bufferevent_setcb))
        repeat = new_buffer(read, write, event, arg);
    if (repeat)
        /* clang-format off */
        REAL(bufferevent_setcb)(buffer, read ? run_read : NULL, write ? run_write : NULL,
                                event ? run_event : NULL, repeat);
    /* clang-format on */
    else
        REAL(bufferevent_setcb)(buffer, read, write, event, arg);
    if (old)
        repeat_end_wide(old);
}

/* It sets the callbacks from inside libevent. */
struct bufferevent *hook_bufferevent_new(int fd, data_callback *read, data_callback *write,
                                         end_callback *event, void *arg)
{
    struct repeat *repeat = NULL;
    struct bufferevent *buffer;

    if (!IS_INSIDE(bufferevent_new) && (read || write || event))
        repeat = new_buffer(read, write, event, arg);
    if (!repeat)
        return REAL(bufferevent_new)(fd, read, write, event, arg);
    buffer = REAL(bufferevent_new)(fd, read ? run_read : NULL, write ? run_write : NULL,
                                   event ? run_event : NULL, repeat);
    if (!buffer) {
        repeat_rollback(repeat);
        repeat_end_wide(repeat);
    }
    return buffer;
}

void hook_bufferevent_getcb(struct bufferevent *buffer, data_callback **read, data_callback **write,
                            end_callback **event, void **arg)
{
    struct repeat *repeat = repeat_of(buffer, __builtin_return_address(0));

    REAL(bufferevent_getcb)(buffer, read, write, event, arg);
    if (!repeat)
        return;
    if (read)
        *read = (data_callback *)repeat->function;
    if (write)
        *write = ((struct others *)repeat->more)->write;
    if (event)
        *event = ((struct others *)repeat->more)->event;
    if (arg)
        *arg = repeat->data;
}

/* Also of one that libevent frees, which may be the program's: it unsets the callbacks first, as here. */
void hook_bufferevent_free(struct bufferevent *buffer)
{
    struct repeat *repeat = repeat_of(buffer, __builtin_return_address(0));

    if (repeat) {
        REAL(bufferevent_setcb)(buffer, NULL, NULL, NULL, NULL);
        repeat_end_wide(repeat);
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
    GUARDED_FRAME();
    struct repeat *repeat = arg;
    accept_callback *callback = (accept_callback *)repeat->function;
    void *data = repeat->data;

    REPEAT_RUN(repeat, callback(listener, fd, address, length, data));
}

static GUARDED void run_error(struct evconnlistener *listener, void *arg)
{
    GUARDED_FRAME();
    struct repeat *repeat = arg;
    error_callback *callback = (error_callback *)repeat->more;
    void *data = repeat->data;

    REPEAT_RUN(repeat, callback(listener, data));
}

static struct repeat *new_listener(accept_callback *callback, void *arg)
{
    struct repeat *repeat;

    if (callback)
        return repeat_new_armed(FAMILY_LIBEVENT, (void *)callback, arg, false);
    repeat = repeat_new(FAMILY_LIBEVENT, NULL, arg); /* evconnlistener_set_cb will arm it */
    if (repeat)
        repeat->flags = REPEAT_BARE;
    return repeat;
}

/* The listener is there, or could not be made. */
static struct evconnlistener *made(struct evconnlistener *listener, struct repeat *repeat)
{
    if (!listener) {
        repeat_rollback(repeat);
        repeat_end(repeat);
    } else if (!map_put(&listeners, listener, repeat, NULL)) {
        /* Not to be found again: it keeps its repeat for good, rather than lose its callback. */
        context_count_bare(FAMILY_LIBEVENT, BARE_MEMORY);
    }
    return listener;
}

struct evconnlistener *hook_evconnlistener_new(struct event_base *base, accept_callback *callback,
                                               void *arg, unsigned flags, int backlog, int fd)
{
    struct repeat *repeat = NULL;

    if (callback != run_accept && !IS_INSIDE(evconnlistener_new))
        repeat = new_listener(callback, arg);
    if (!repeat)
        return REAL(evconnlistener_new)(base, callback, arg, flags, backlog, fd);
    return made(
        REAL(evconnlistener_new)(base, callback ? run_accept : NULL, repeat, flags, backlog, fd),
        repeat);
}

struct evconnlistener *hook_evconnlistener_new_bind(struct event_base *base,
                                                    accept_callback *callback, void *arg,
                                                    unsigned flags, int backlog,
                                                    const struct sockaddr *address, int length)
{
    struct repeat *repeat = NULL;

    if (!IS_INSIDE(evconnlistener_new_bind))
        repeat = new_listener(callback, arg);
    if (!repeat)
        return REAL(evconnlistener_new_bind)(base, callback, arg, flags, backlog, address, length);
    return made(REAL(evconnlistener_new_bind)(base, callback ? run_accept : NULL, repeat, flags,
                                              backlog, address, length),
                repeat);
}

/* evhttp_bind_listener makes the program's listener its own. */
static void lose(struct evconnlistener *listener, struct repeat *repeat, accept_callback *callback,
                 void *arg)
{
    map_take(&listeners, listener);
    REAL_FOR(evconnlistener_set_cb, callback)(listener, callback, arg);
    if (repeat->more)
        REAL_FOR(evconnlistener_set_error_cb, callback)(listener, (error_callback *)repeat->more);
    repeat_end(repeat);
}

/* The error callback gets the same argument. */
void hook_evconnlistener_set_cb(struct evconnlistener *listener, accept_callback *callback,
                                void *arg)
{
    struct repeat *repeat = map_find(&listeners, listener);
    uint8_t flags;
    struct context *context;

    if (!repeat) {
        REAL(evconnlistener_set_cb)(listener, callback, arg);
        return;
    }
    if (IS_INSIDE(evconnlistener_set_cb)) {
        lose(listener, repeat, callback, arg);
        return;
    }
    context = repeat_capture(FAMILY_LIBEVENT, false, &flags);
    REAL(evconnlistener_set_cb)(listener, NULL, repeat); /* nothing runs while it changes */
    repeat->function = (void *)callback;
    repeat->data = arg;
    repeat_arm(repeat, context, flags);
    if (callback)
        REAL(evconnlistener_set_cb)(listener, run_accept, repeat);
}

void hook_evconnlistener_set_error_cb(struct evconnlistener *listener, error_callback *callback)
{
    struct repeat *repeat = IS_INSIDE(evconnlistener_set_error_cb) ? NULL
                                                                   : map_find(&listeners, listener);

    if (repeat) {
        repeat->more = (void *)callback;
        callback = callback ? run_error : NULL;
    }
    REAL(evconnlistener_set_error_cb)(listener, callback);
}

void hook_evconnlistener_free(struct evconnlistener *listener)
{
    struct repeat *repeat = map_take(&listeners, listener);

    REAL(evconnlistener_free)(listener);
    if (repeat)
        repeat_end(repeat);
}
